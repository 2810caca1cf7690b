"""Metrics of group and transaction coordinators, and of what partitions know of producers. Everything is read at scrape time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from mainstem.api.sensor import Metric, Sample, Sensor
from mainstem.broker.services import Services
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.consumer_state import ConsumerGroup, ConsumerGroupState
from mainstem.core.group.counters import GroupCounters
from mainstem.core.log.producer_state import ProducerEntry
from mainstem.core.txn.records import TransactionState
from mainstem.model.errors import StorageError
from mainstem.runtime.partition import Partition
from mainstem.telemetry import metrics as m

LATE_TRANSACTION_BUFFER_MS = 5 * 60 * 1000
"""Source: Kafka's `ProducerStateManager`, 4.1."""

_CLASSIC_STATES = (
    (m.CLASSIC_GROUPS_EMPTY, GroupState.EMPTY),
    (m.CLASSIC_GROUPS_PREPARING, GroupState.PREPARING_REBALANCE),
    (m.CLASSIC_GROUPS_COMPLETING, GroupState.COMPLETING_REBALANCE),
    (m.CLASSIC_GROUPS_STABLE, GroupState.STABLE),
    (m.CLASSIC_GROUPS_DEAD, GroupState.DEAD),
)


def register(sensor: Sensor, services: Services) -> None:
    _register_groups(sensor, services)
    _register_group_counters(sensor, services)
    _register_transactions(sensor, services)


def has_late_transaction(producers: Iterable[ProducerEntry], before_ms: int) -> bool:
    """Whether a producer with an open transaction has written nothing since `before_ms`."""
    return any(entry.current_txn_first_offset >= 0 and entry.last_timestamp < before_ms for entry in producers)


def _register_groups(sensor: Sensor, services: Services) -> None:
    def classic() -> Iterator[ClassicGroup]:
        for shard in services.groups.shards():
            yield from (group for group in shard.groups.values() if isinstance(group, ClassicGroup))

    def consumer() -> Iterator[ConsumerGroup]:
        for shard in services.groups.shards():
            yield from (group for group in shard.groups.values() if isinstance(group, ConsumerGroup))

    def in_state(metric: Metric, state: GroupState) -> None:
        sensor.register(metric, lambda: [Sample((), sum(group.state is state for group in classic()))])

    def offsets() -> int:
        shards = services.groups.shards()
        return sum(len(shard.offsets.of_group(group_id)) for shard in shards for group_id in shard.groups)

    def by_state() -> list[Sample]:
        counts = Counter(group.state for group in consumer())
        return [Sample((state.lower(),), counts[state]) for state in ConsumerGroupState]

    for metric, state in _CLASSIC_STATES:
        in_state(metric, state)
    sensor.register(m.CLASSIC_GROUPS, lambda: [Sample((), sum(1 for _ in classic()))])
    sensor.register(m.GROUP_OFFSETS, lambda: [Sample((), offsets())])
    sensor.register(
        m.GROUP_COUNT,
        lambda: [Sample(("classic",), sum(1 for _ in classic())), Sample(("consumer",), sum(1 for _ in consumer()))],
    )
    sensor.register(m.CONSUMER_GROUP_COUNT, by_state)


def _register_group_counters(sensor: Sensor, services: Services) -> None:
    def total(metric: Metric, value: Callable[[GroupCounters], int]) -> None:
        sensor.register(metric, lambda: [Sample((), sum(value(shard.counters) for shard in services.groups.shards()))])

    total(m.CLASSIC_REBALANCES, lambda c: c.classic_rebalances)
    total(m.CONSUMER_REBALANCES, lambda c: c.consumer_rebalances)
    total(m.OFFSET_COMMITS, lambda c: c.offset_commits)
    total(m.OFFSET_EXPIRATIONS, lambda c: c.offset_expirations)
    total(m.OFFSET_DELETIONS, lambda c: c.offset_deletions)


def _register_transactions(sensor: Sensor, services: Services) -> None:
    limit_ms = services.config.transaction_max_timeout_ms + LATE_TRANSACTION_BUFFER_MS

    def is_late(partition: Partition) -> bool:
        return has_late_transaction(partition.state.producers.entries.values(), services.clock.now_ms() - limit_ms)

    def over_partitions(metric: Metric, value: Callable[[Partition], int]) -> None:
        def read() -> list[Sample]:
            found = 0
            for partition in services.partitions:
                try:
                    partition.log_end_offset  # noqa: B018 - opens the log, whose state is asked for
                except StorageError:
                    continue  # a failed directory is told by LOG_DIRECTORY_OFFLINE
                found += value(partition)
            return [Sample((), found)]

        sensor.register(metric, read)

    def by_state() -> list[Sample]:
        counts = Counter(stored.state for stored in services.transactions.stored())
        # The other two are never a coordinator's state.
        hidden = (TransactionState.DEAD, TransactionState.PREPARE_EPOCH_FENCE)
        return [Sample((state.label,), counts[state]) for state in TransactionState if state not in hidden]

    over_partitions(m.PRODUCER_IDS, lambda partition: len(partition.state.producers.entries))
    over_partitions(m.LATE_TRANSACTIONS, is_late)
    sensor.register(m.TRANSACTIONAL_IDS, by_state)
