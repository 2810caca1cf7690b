"""CreateTopics, v2–7. v4: defaults by -1 (KIP-464). v5: effective configs (KIP-525). v7: topic ids."""

from __future__ import annotations

from collections import Counter

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.descriptions import BrokerLayers, describe_created_topic
from mainstem.core.controller.topics import ReplicaAssignment, TopicResult, TopicSpec
from mainstem.model.cluster import TopicCreated
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)


async def handle(context: RequestContext, services: Services, request: CreateTopicsRequest) -> CreateTopicsResponse:
    counts = Counter(topic.name for topic in request.topics)
    specs = [_spec(topic) for topic in request.topics if counts[topic.name] == 1]
    created = await services.metadata.create_topics(specs, request.validate_only)
    results = {result.name: result for result in created}
    layers = BrokerLayers(services.metadata.image, services.metadata.static_config)
    return CreateTopicsResponse(
        topics=[_result(results[name], layers) if name in results else _twice(name) for name in counts]
    )


def _spec(topic: CreatableTopic) -> TopicSpec:
    return TopicSpec(
        name=topic.name,
        partitions=topic.num_partitions,
        replication_factor=topic.replication_factor,
        assignments=[ReplicaAssignment(each.partition_index, tuple(each.broker_ids)) for each in topic.assignments],
        configs={config.name: config.value for config in topic.configs},
    )


def _twice(name: str) -> CreatableTopicResult:
    return CreatableTopicResult(
        name=name, error_code=ErrorCode.INVALID_REQUEST, error_message="the request has this topic name more than once"
    )


def _result(result: TopicResult, layers: BrokerLayers) -> CreatableTopicResult:
    if not isinstance(result.change, TopicCreated):
        return CreatableTopicResult(name=result.name, error_code=result.error, error_message=result.message)
    return CreatableTopicResult(
        name=result.name,
        topic_id=result.topic_id,
        num_partitions=result.partitions,
        replication_factor=result.replication_factor,
        configs=[
            CreatableTopicConfigs(
                name=config.name,
                value=config.value,
                read_only=config.read_only,
                config_source=config.source,
                is_sensitive=config.is_sensitive,
            )
            for config in describe_created_topic(result.change.configs, layers)
        ],
    )
