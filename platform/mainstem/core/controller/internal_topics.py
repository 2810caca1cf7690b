"""The topics in which coordinators keep their state, and how each of them is set up."""

from __future__ import annotations

from mainstem.core.controller.topics import TopicSpec
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic_keys import SEGMENT_BYTES_MIN
from mainstem.model.topic import GROUP_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC


def automatic_topic(name: str, config: BrokerConfig) -> TopicSpec:
    """What using an unknown topic creates. Source: Kafka's `AutoTopicCreationManager`."""
    if name == GROUP_OFFSETS_TOPIC:
        return TopicSpec(
            name=name,
            partitions=config.offsets_topic_num_partitions,
            replication_factor=config.offsets_topic_replication_factor,
            configs={
                "cleanup.policy": "compact",
                "compression.type": "producer",
                "segment.bytes": _segment_bytes(config.offsets_topic_segment_bytes),
            },
        )
    if name == TRANSACTION_STATE_TOPIC:
        return TopicSpec(
            name=name,
            partitions=config.transaction_state_log_num_partitions,
            replication_factor=config.transaction_state_log_replication_factor,
            configs={
                "cleanup.policy": "compact",
                "compression.type": "uncompressed",
                "min.insync.replicas": str(config.transaction_state_log_min_isr),
                "segment.bytes": _segment_bytes(config.transaction_state_log_segment_bytes),
                "unclean.leader.election.enable": "false",
            },
        )
    return TopicSpec(name=name)


def _segment_bytes(asked: int) -> str:
    # The broker's keys allow sizes that no topic may have.
    return str(max(asked, SEGMENT_BYTES_MIN))
