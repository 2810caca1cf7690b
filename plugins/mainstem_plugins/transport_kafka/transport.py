"""Topics of a Kafka cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]  # no __all__ there

from mainstem.api.context import PluginContext
from mainstem.api.transport import FetchedBatch, TransportError, TransportTraits
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_kafka import KafkaConfig
from mainstem_plugins.transport_kafka.client import (
    CONSUMER_PROPERTIES,
    GROUP_PROTOCOLS,
    PASSING,
    PRODUCER_PROPERTIES,
    PassingErrors,
    group_protocol,
    in_words,
    quiet_logger,
    shared_properties,
)
from mainstem_plugins.transport_kafka.consumer import KafkaConsumer
from mainstem_plugins.transport_kafka.producer import KafkaProducer
from mainstem_plugins.transport_kafka.reader import PartitionReaders
from mainstem_plugins.transport_kafka.transactions import KafkaTransactions

R = TypeVar("R")
EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # confluent-kafka has no types there
LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above
REACH_TIMEOUT_S = 10.0
CHECKS_MAX = 100
CHECK_INTERVAL_S = 0.1


class KafkaTransport:
    traits = TransportTraits(has_groups=True, transactions="v1", is_durable=True, is_dense=False, compacts=True)

    def __init__(self, config: KafkaConfig, context: PluginContext, address: str) -> None:
        self._config = config
        self._context = context
        self._address = address
        self._shared = shared_properties(config, address, context.log)
        self._group_protocol = group_protocol(config)
        self._timeout_s = config.request_timeout_ms / 1000
        self._admin: AdminClient | None = None
        self._readers: PartitionReaders | None = None

    async def open(self) -> None:
        try:
            trouble = PassingErrors(self._context.log, "admin")
            settings: dict[str, Any] = {**self._shared, "error_cb": trouble}
            self._admin = AdminClient(settings, logger=quiet_logger())
            await self._in_thread(lambda: self._known_admin().list_topics(timeout=REACH_TIMEOUT_S))
        except KafkaException as error:
            raise in_words(
                error, f"no Kafka broker answers at {self._address}; check the address and that it is running"
            ) from error

    def _known_admin(self) -> AdminClient:
        assert self._admin is not None, "opened before use"
        return self._admin

    async def _in_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._context.executor, work)

    async def partition_count(self, topic: str) -> int | None:
        # Described, not listed by name: that would create it where the cluster creates topics by itself.
        asked = self._known_admin().describe_topics(TopicCollection([topic]), request_timeout=self._timeout_s)
        try:
            described = await self._in_thread(asked[topic].result)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise in_words(error, f"topic {topic} cannot be described") from error
        return len(described.partitions)

    async def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        # The replication factor is the cluster's default.
        new = NewTopic(topic, num_partitions=partitions, replication_factor=-1, config=dict(configs))
        asked = self._known_admin().create_topics([new], request_timeout=self._timeout_s)
        try:
            await self._in_thread(asked[topic].result)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise in_words(error, f"topic {topic} cannot be created") from error
        for _ in range(CHECKS_MAX):
            if await self.partition_count(topic) is not None:
                await self.end_offsets(topic)
                return
            await asyncio.sleep(CHECK_INTERVAL_S)
        raise TransportError(f"topic {topic} was created and is still not known to the cluster")

    async def end_offsets(self, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
        count = await self.partition_count(topic)
        if count is None:
            raise TransportError(f"topic {topic} does not exist")
        partitions = [confluent_kafka.TopicPartition(topic, number) for number in range(count)]
        starts = await self._offsets(topic, partitions, EARLIEST)
        ends = await self._offsets(topic, partitions, LATEST)
        return {TopicPartition(topic, number): (starts[number], ends[number]) for number in range(count)}

    async def offsets_for_time(self, topic: str, timestamp: int) -> Mapping[TopicPartition, int]:
        ends = await self.end_offsets(topic)
        asked = [confluent_kafka.TopicPartition(topic, one.partition) for one in ends]
        found = await self._offsets(topic, asked, OffsetSpec.for_timestamp(timestamp))
        return {one: found[one.partition] if found[one.partition] >= 0 else end for one, (_, end) in ends.items()}

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        theirs = [confluent_kafka.TopicPartition(*partition, offset) for partition, offset in before.items()]
        asked = self._known_admin().delete_records(theirs, request_timeout=self._timeout_s)
        for one, deleted in asked.items():
            try:
                await self._in_thread(deleted.result)
            except KafkaException as error:
                what = f"records of {one.topic}-{one.partition} before offset {one.offset} cannot be deleted"
                raise in_words(error, what) from error

    async def delete_topic(self, topic: str) -> None:
        asked = self._known_admin().delete_topics([topic], request_timeout=self._timeout_s)
        try:
            await self._in_thread(asked[topic].result)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise in_words(error, f"topic {topic} cannot be deleted") from error

    async def group_offsets(self, group_id: str) -> Mapping[TopicPartition, int]:
        wanted = ConsumerGroupTopicPartitions(group_id)
        asked = self._known_admin().list_consumer_group_offsets([wanted], request_timeout=self._timeout_s)
        try:
            found = await self._in_thread(asked[group_id].result)
        except KafkaException as error:
            raise in_words(error, f"the offsets of group {group_id} cannot be read") from error
        listed = found.topic_partitions or []
        return {TopicPartition(one.topic, one.partition): one.offset for one in listed if one.offset >= 0}

    async def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        theirs = [confluent_kafka.TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        wanted = ConsumerGroupTopicPartitions(group_id, theirs)
        asked = self._known_admin().alter_consumer_group_offsets([wanted], request_timeout=self._timeout_s)
        try:
            moved = await self._in_thread(asked[group_id].result)
        except KafkaException as error:
            raise in_words(error, f"group {group_id} cannot be moved; stop its members first") from error
        for one in moved.topic_partitions or []:
            if one.error is not None:
                what = f"group {group_id} cannot be moved on {one.topic}-{one.partition}; stop its members first"
                raise in_words(one.error, what)

    async def _offsets(
        self, topic: str, partitions: list[confluent_kafka.TopicPartition], which: Any
    ) -> dict[int, int]:
        for attempt in range(CHECKS_MAX):
            asked = self._known_admin().list_offsets(
                dict.fromkeys(partitions, which),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=self._timeout_s,
            )
            found: dict[int, int] = {}
            try:
                for partition, future in asked.items():
                    found[partition.partition] = (await self._in_thread(future.result)).offset
            except KafkaException as error:
                # Right after a topic is created not every broker knows yet what it leads.
                if error.args[0].code() not in PASSING or attempt == CHECKS_MAX - 1:
                    raise in_words(error, f"the offsets of topic {topic} cannot be listed") from error
                await asyncio.sleep(CHECK_INTERVAL_S)
            else:
                break
        return found

    async def read(self, partition: TopicPartition, offset: int, *, max_records: int, max_wait_ms: int) -> FetchedBatch:
        if self._readers is None:
            self._readers = PartitionReaders(self._shared, self._context)
        return await self._readers.read(partition, offset, max_records=max_records, max_wait_ms=max_wait_ms)

    def consumer(self, group_id: str, *, from_latest: bool = False) -> KafkaConsumer:
        reset = "latest" if from_latest else "earliest"
        properties = {
            **CONSUMER_PROPERTIES,
            **GROUP_PROTOCOLS[self._group_protocol],
            "auto.offset.reset": reset,
            **self._shared,
        }
        return KafkaConsumer(properties, group_id, self._context, self._group_protocol)

    def producer(self) -> KafkaProducer:
        return KafkaProducer(self._producer_properties(), self._context)

    def transactional_producer(self, transactional_id: str) -> KafkaTransactions:
        properties = {**self._producer_properties(), "transaction.timeout.ms": self._config.transaction_timeout_ms}
        return KafkaTransactions(properties, self._context, transactional_id)

    def _producer_properties(self) -> dict[str, Any]:
        return {
            **PRODUCER_PROPERTIES,
            "compression.type": self._config.compression_type,
            "linger.ms": self._config.linger_ms,
            **self._shared,
        }

    async def close(self) -> None:
        if self._readers is not None:
            await self._readers.close()
            self._readers = None
