"""DescribeConfigs, v1–4. v3: types and documentation (KIP-569).
Broker loggers: KIP-412. Client metrics: KIP-714. Groups: KIP-1000.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.controller.descriptions import (
    UNKNOWN_TYPE,
    BrokerLayers,
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_cluster_defaults,
    describe_group,
    describe_topic,
)
from mainstem.core.metadata.image import ConfigResource
from mainstem.model.configs.key import ConfigSource
from mainstem.model.errors import ErrorCode
from mainstem.model.topic import topic_name_problem
from mainstem.telemetry.loggers import ROOT
from mainstem.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32


class _Refused(Exception):
    """Ends the description of one resource; never leaves this module."""

    def __init__(self, error: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message


def handle(context: RequestContext, services: Services, request: DescribeConfigsRequest) -> DescribeConfigsResponse:
    return DescribeConfigsResponse(results=[_result(services, request, wanted) for wanted in request.resources])


def _result(
    services: Services, request: DescribeConfigsRequest, wanted: DescribeConfigsResource
) -> DescribeConfigsResult:
    try:
        described = _describe(services, wanted.resource_type, wanted.resource_name)
    except _Refused as refused:
        return DescribeConfigsResult(
            error_code=refused.error,
            error_message=refused.message,
            resource_type=wanted.resource_type,
            resource_name=wanted.resource_name,
        )
    # An empty list means everything, as null does.
    if wanted.configuration_keys:
        keys = set(wanted.configuration_keys)
        described = [config for config in described if config.name in keys]
    return DescribeConfigsResult(
        error_message="",
        resource_type=wanted.resource_type,
        resource_name=wanted.resource_name,
        configs=[_config(config, request) for config in described],
    )


def _describe(services: Services, kind: int, name: str) -> Sequence[DescribedConfig]:
    """Raises: _Refused."""
    metadata = services.metadata
    image, static = metadata.image, metadata.static_config
    match kind:
        case 2:  # TOPIC
            problem = topic_name_problem(name)
            if problem is not None:
                raise _Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
            topic = image.topics.get(name)
            if topic is None:
                raise _Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name!r}")
            return describe_topic(topic.configs, BrokerLayers(image, static))
        case 4 if not name:  # BROKER, the cluster's defaults
            return describe_cluster_defaults(image)
        case 4:  # BROKER
            _check_own_id(services, name)
            return describe_broker(BrokerLayers(image, static))
        case 8:  # BROKER_LOGGER
            _check_own_id(services, name)
            return [_logger(*item) for item in services.loggers.levels().items()]
        case 16:  # CLIENT_METRICS
            if not name:
                raise _Refused(ErrorCode.INVALID_REQUEST, "a client metrics subscription needs a name")
            return describe_client_metrics(image.configs_of(ConfigResource("client-metrics", name)))
        case 32:  # GROUP
            if not name:
                raise _Refused(ErrorCode.INVALID_REQUEST, "a group's name must not be empty")
            return describe_group(image.configs_of(ConfigResource("group", name)), static)
        case _:
            raise _Refused(ErrorCode.INVALID_REQUEST, f"there is no resource type {kind}")


def _logger(name: str, level: str) -> DescribedConfig:
    doc = "Level of all events." if name == ROOT else f"Level of events that begin with {name}."
    return DescribedConfig(name=name, value=level, source=ConfigSource.BROKER_LOGGER, type=UNKNOWN_TYPE, doc=doc)


def _check_own_id(services: Services, name: str) -> None:
    """Settings of a broker are told by that broker only. Raises: _Refused."""
    if name != str(services.broker_id):
        problem = f"this is broker {services.broker_id}, and {name!r} is asked for"
        raise _Refused(ErrorCode.INVALID_REQUEST, problem)


def _config(config: DescribedConfig, request: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    synonyms = config.synonyms if request.include_synonyms else ()
    return DescribeConfigsResourceResult(
        name=config.name,
        value=config.value,
        read_only=config.read_only,
        config_source=config.source,
        is_sensitive=config.is_sensitive,
        synonyms=[DescribeConfigsSynonym(name=s.name, value=s.value, source=s.source) for s in synonyms],
        config_type=config.type,
        documentation=config.doc if request.include_documentation else None,
    )
