"""Connect the table of `telemetry.metrics` with the plain counters of a running broker. Everything is read at scrape time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from mainstem.api.context import Clock
from mainstem.api.sensor import Metric, Sample, Sensor
from mainstem.broker.request_counters import LATENCY_BUCKETS_MS
from mainstem.broker.services import Services
from mainstem.model.cluster import PartitionRegistration
from mainstem.model.errors import StorageError
from mainstem.runtime.cleaner import Cleaner
from mainstem.runtime.partition import Partition
from mainstem.runtime.partitions import Partitions
from mainstem.telemetry import metrics as m
from mainstem.wire.apis import ApiKey


def register(sensor: Sensor, services: Services) -> None:
    _register_traffic(sensor, services)
    _register_requests(sensor, services)
    _register_partitions(sensor, services)
    _register_cluster(sensor, services)
    _register_groups(sensor, services)


def _by_topic(services: Services, value: Callable[[Partition], int]) -> Iterable[Sample]:
    totals: dict[str, int] = defaultdict(int)
    for partition in services.partitions:
        totals[partition.topic_partition.topic] += value(partition)
    return [Sample((topic,), total) for topic, total in totals.items()]


def _register_traffic(sensor: Sensor, services: Services) -> None:
    sensor.register(m.MESSAGES_IN, lambda: _by_topic(services, lambda p: p.messages_in))
    sensor.register(m.BYTES_IN, lambda: _by_topic(services, lambda p: p.bytes_in))
    sensor.register(m.BYTES_OUT, lambda: _by_topic(services, lambda p: p.bytes_out))
    sensor.register(m.PRODUCE_REQUESTS, lambda: _by_topic(services, lambda p: p.produce_requests))
    sensor.register(m.FAILED_PRODUCE, lambda: _by_topic(services, lambda p: p.produce_failures))
    sensor.register(m.FETCH_REQUESTS, lambda: _by_topic(services, lambda p: p.fetch_requests))
    sensor.register(m.FAILED_FETCH, lambda: _by_topic(services, lambda p: p.fetch_failures))


def _register_requests(sensor: Sensor, services: Services) -> None:
    counters = services.counters

    def names() -> Iterator[tuple[str, int]]:
        return ((ApiKey(key).title, key) for key in sorted(counters.apis))

    def times() -> Iterator[Sample]:
        for name, key in names():
            api, total = counters.apis[key], 0
            for limit, count in zip((*LATENCY_BUCKETS_MS, "+Inf"), api.latency_buckets, strict=True):
                total += count
                yield Sample((name, str(limit)), total)
            yield Sample((name, "sum"), api.total_time_ms)
            yield Sample((name, "count"), total)

    sensor.register(m.REQUESTS, lambda: [Sample((n,), counters.apis[k].requests) for n, k in names()])
    sensor.register(m.REQUEST_ERRORS, lambda: [Sample((n,), counters.apis[k].errors) for n, k in names()])
    sensor.register(m.REQUEST_TIME, times)
    sensor.register(m.MALFORMED, lambda: [Sample((), counters.malformed_requests)])
    sensor.register(m.CONNECTIONS, lambda: [Sample((), counters.connections)])
    sensor.register(m.CONNECTIONS_TOTAL, lambda: [Sample((), counters.connections_total)])
    sessions, memory = services.fetch_sessions, services.memory
    sensor.register(m.FETCH_SESSIONS, lambda: [Sample((), len(sessions))])
    sensor.register(m.FETCH_SESSION_PARTITIONS, lambda: [Sample((), sum(len(s.partitions) for s in sessions))])
    sensor.register(m.FETCH_SESSION_EVICTIONS, lambda: [Sample((), sessions.evictions)])
    sensor.register(m.REQUEST_MEMORY, lambda: [Sample((), memory.request_bytes)])
    sensor.register(m.REPLY_MEMORY, lambda: [Sample((), memory.reply_bytes)])


def _register_partitions(sensor: Sensor, services: Services) -> None:
    partitions = services.partitions

    def per_partition(value: Callable[[Partition], int]) -> Iterator[Sample]:
        for partition in partitions:
            topic, index = partition.topic_partition
            try:
                yield Sample((topic, str(index)), value(partition))
            except StorageError:
                continue  # a failed directory is told by LOG_DIRECTORY_OFFLINE; the scrape goes on

    sensor.register(m.LOG_SIZE, lambda: per_partition(lambda p: p.log.size))
    sensor.register(m.LOG_END_OFFSET, lambda: per_partition(lambda p: p.log_end_offset))
    sensor.register(m.LOG_START_OFFSET, lambda: per_partition(lambda p: p.log_start_offset))
    sensor.register(m.CURRENT_OFFSET, lambda: per_partition(lambda p: p.high_watermark))
    sensor.register(m.OLDEST_OFFSET, lambda: per_partition(lambda p: p.log_start_offset))
    _register_in_sync(sensor, services)
    sensor.register(m.OFFLINE_REPLICAS, lambda: [Sample((), sum(p.is_offline for p in partitions))])
    sensor.register(m.PARTITION_COUNT, lambda: [Sample((), len(partitions))])
    sensor.register(
        m.FLUSH_ROUNDS, lambda: [Sample((d.store.place,), d.flusher.rounds) for d in partitions.directories]
    )
    sensor.register(
        m.LOG_DIRECTORY_OFFLINE,
        lambda: [Sample((d.store.place,), d.flusher.failure is not None) for d in partitions.directories],
    )


def register_cleaner(sensor: Sensor, cleaner: Cleaner, partitions: Partitions, clock: Clock) -> None:
    """Only where compaction runs (`log.cleaner.enable`)."""
    counters = cleaner.counters

    def one(metric: Metric, value: Callable[[], float]) -> None:
        sensor.register(metric, lambda: [Sample((), value())])

    def since_last_run() -> int:
        return 0 if counters.last_run_ms < 0 else clock.now_ms() - counters.last_run_ms

    def uncleanable() -> Iterator[Sample]:
        for directory in partitions.directories:
            owned = [partitions.get(*p) for p in cleaner.uncleanable]
            count = sum(p is not None and p.store is directory.store for p in owned)
            yield Sample((directory.store.place,), count)

    sensor.register(m.CLEANER_UNCLEANABLE, uncleanable)
    one(m.CLEANER_DIRTY, lambda: 100 * counters.max_dirty_ratio)
    one(m.CLEANER_SINCE_LAST_RUN, since_last_run)
    one(m.CLEANER_CLEAN_TIME, lambda: counters.pass_ms_max / 1000)
    one(m.CLEANER_BUFFER, lambda: 100 * counters.buffer_utilization)
    one(m.CLEANER_RECOPY, lambda: 100 * counters.bytes_written / max(1, counters.bytes_read))
    one(m.CLEANER_DELAY, lambda: counters.max_delay_ms / 1000)
    one(m.CLEANER_PASSES, lambda: counters.passes)


def _register_in_sync(sensor: Sensor, services: Services) -> None:
    """Of partitions this broker leads; on one node those are the hosted ones."""
    partitions = services.partitions

    def spare(partition: Partition) -> int:
        return partition.in_sync_replicas - partition.config.min_insync_replicas

    def each(value: Callable[[Partition], int]) -> list[Sample]:
        return [Sample((p.topic_partition.topic, str(p.topic_partition.partition)), value(p)) for p in partitions]

    sensor.register(m.UNDER_MIN_ISR, lambda: [Sample((), sum(spare(p) < 0 for p in partitions))])
    sensor.register(m.AT_MIN_ISR, lambda: [Sample((), sum(spare(p) == 0 for p in partitions))])
    sensor.register(m.PARTITION_UNDER_MIN_ISR, lambda: each(lambda p: spare(p) < 0))
    sensor.register(m.PARTITION_AT_MIN_ISR, lambda: each(lambda p: spare(p) == 0))
    sensor.register(m.PARTITION_IN_SYNC, lambda: each(lambda p: p.in_sync_replicas))


def _register_cluster(sensor: Sensor, services: Services) -> None:
    metadata = services.metadata

    def registrations() -> Iterator[tuple[str, PartitionRegistration]]:
        for topic in metadata.image.topics.values():
            for partition in topic.partitions:
                yield topic.name, partition

    def per_registration(value: Callable[[PartitionRegistration], int]) -> list[Sample]:
        return [Sample((topic, str(p.partition)), value(p)) for topic, p in registrations()]

    def count(holds: Callable[[PartitionRegistration], bool]) -> list[Sample]:
        return [Sample((), sum(holds(p) for _, p in registrations()))]

    me = services.broker_id
    sensor.register(m.LEADER_COUNT, lambda: count(lambda p: p.leader == me))
    sensor.register(m.UNDER_REPLICATED, lambda: count(lambda p: p.leader == me and len(p.isr) < len(p.replicas)))
    sensor.register(m.OFFLINE_PARTITIONS, lambda: count(lambda p: p.leader < 0))
    sensor.register(m.PREFERRED_IMBALANCE, lambda: count(lambda p: p.replicas[:1] != (p.leader,)))
    sensor.register(m.ACTIVE_CONTROLLER, lambda: [Sample((), metadata.image.controller_id == me)])
    sensor.register(m.GLOBAL_TOPICS, lambda: [Sample((), len(metadata.image.topics))])
    sensor.register(m.GLOBAL_PARTITIONS, lambda: count(lambda p: True))
    sensor.register(m.BROKERS, lambda: [Sample((), len(metadata.image.brokers))])
    sensor.register(
        m.TOPIC_PARTITIONS, lambda: [Sample((t.name,), len(t.partitions)) for t in metadata.image.topics.values()]
    )
    sensor.register(m.IN_SYNC_REPLICAS, lambda: per_registration(lambda p: len(p.isr)))
    sensor.register(m.REPLICAS, lambda: per_registration(lambda p: len(p.replicas)))
    sensor.register(m.LEADER, lambda: per_registration(lambda p: p.leader))
    sensor.register(m.LEADER_IS_PREFERRED, lambda: per_registration(lambda p: p.replicas[:1] == (p.leader,)))
    sensor.register(m.UNDER_REPLICATED_PARTITION, lambda: per_registration(lambda p: len(p.isr) < len(p.replicas)))


def _register_groups(sensor: Sensor, services: Services) -> None:
    def offsets() -> Iterator[tuple[tuple[str, str, str], int, int]]:
        for group in services.groups.snapshots():
            for topic_partition, offset in group.offsets.items():
                partition = services.partitions.get(*topic_partition)
                if partition is not None:
                    labels = (group.group_id, topic_partition.topic, str(topic_partition.partition))
                    yield labels, offset, max(0, partition.high_watermark - offset)

    def lag_sums() -> list[Sample]:
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for (group, topic, _), _, lag in offsets():
            sums[group, topic] += lag
        return [Sample(labels, lag) for labels, lag in sums.items()]

    sensor.register(m.GROUP_OFFSET, lambda: [Sample(labels, offset) for labels, offset, _ in offsets()])
    sensor.register(m.GROUP_LAG, lambda: [Sample(labels, lag) for labels, _, lag in offsets()])
    sensor.register(m.GROUP_LAG_SUM, lag_sums)
    sensor.register(
        m.GROUP_MEMBERS, lambda: [Sample((g.group_id,), len(g.member_ids)) for g in services.groups.snapshots()]
    )
