"""All partitions this broker hosts, and the log directories they live in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor

from mainstem.api.context import Clock, Log
from mainstem.api.storage import LogStore
from mainstem.core.metadata.effective import effective_config
from mainstem.core.metadata.image import MetadataImage, TopicImage
from mainstem.model.cluster import Change, ConfigChanged, PartitionChanged, PartitionsAdded, TopicCreated, TopicDeleted
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import StorageError
from mainstem.model.ids import TopicPartition
from mainstem.runtime.flusher import Flusher
from mainstem.runtime.partition import Partition

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"


class LogDirectory:
    """One store and its flusher."""

    def __init__(self, store: LogStore, on_failure: Callable[[LogStore, StorageError], None]) -> None:
        self.store = store
        self.flusher = Flusher(lambda error: on_failure(store, error))
        self.recovery_points = dict(store.read_checkpoint(RECOVERY_POINTS))
        self.log_starts = dict(store.read_checkpoint(LOG_STARTS))
        self.hosted = 0


class Partitions:
    """Registry of partitions; follows the cluster image. Owned by the loop."""

    def __init__(
        self,
        broker_id: int,
        config: BrokerConfig,
        stores: Sequence[LogStore],
        executor: Executor,
        clock: Clock,
        log: Log,
        *,
        is_durable: bool,
    ) -> None:
        self._broker_id = broker_id
        self._static_config = config
        self._config = config
        self._executor = executor
        self._clock = clock
        self._log = log
        self._is_durable = is_durable
        self.directories = [LogDirectory(store, self._storage_failed) for store in stores]
        self._by_name: dict[tuple[str, int], Partition] = {}
        # Keyed as the wire has it, a topic's UTF-8 name or its id: one lookup per partition on the hot path.
        self._by_wire: dict[tuple[bytes, int], Partition] = {}
        # Two writers of one checkpoint file would overtake each other.
        self._checkpoint_files = asyncio.Lock()
        self._homes: dict[TopicPartition, LogDirectory] = {}
        for directory in self.directories:
            for partition, _ in directory.store.existing():
                self._homes[partition] = directory

    def get(self, topic: str, partition: int) -> Partition | None:
        return self._by_name.get((topic, partition))

    def by_wire(self, topic: bytes, partition: int) -> Partition | None:
        """`topic` is the name as UTF-8 bytes or the topic id."""
        return self._by_wire.get((topic, partition))

    def stored(self, topic: str) -> set[int]:
        """Partitions of a topic whose log exists; the others were never used."""
        return {
            partition.partition
            for directory in self.directories
            for partition, _ in directory.store.existing()
            if partition.topic == topic
        }

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    # ----------------------------------------------------------------------------------------------------- the image

    def load(self, image: MetadataImage) -> None:
        """Host what the image gives to this broker; for the start."""
        self._config = effective_config(image, self._static_config)
        for topic in image.topics.values():
            self._host_topic(topic, image)

    def follow(self, changes: Sequence[Change], image: MetadataImage) -> None:
        """The image changed."""
        for change in changes:
            match change:
                case TopicCreated(name=name) | PartitionsAdded(name=name) | PartitionChanged(name=name):
                    topic = image.topics.get(name)
                    if topic is not None:
                        self._host_topic(topic, image)
                case TopicDeleted(name=name):
                    self._drop_topic(name)
                case ConfigChanged(resource_type="topic", resource_name=name):
                    self._reconfigure(image.topics.get(name))
                case ConfigChanged(resource_type="broker"):
                    # Rare: every topic inherits from these settings.
                    self._config = effective_config(image, self._static_config)
                    for topic in image.topics.values():
                        self._reconfigure(topic)
                case _:
                    pass

    def _host_topic(self, topic: TopicImage, image: MetadataImage) -> None:
        config: TopicConfig | None = None
        for registration in topic.partitions:
            if self._broker_id not in registration.replicas:
                continue
            hosted = self._by_name.get((topic.name, registration.partition))
            if hosted is not None:
                hosted.leader_epoch = registration.leader_epoch
                hosted.in_sync_replicas = len(registration.isr)
                hosted.replicas = tuple(registration.replicas)
                continue
            config = config or TopicConfig.resolve(topic.configs, self._config)
            partition = self._host(topic, registration.partition, registration.leader_epoch, config)
            partition.replicas = tuple(registration.replicas)

    def _host(self, topic: TopicImage, index: int, leader_epoch: int, config: TopicConfig) -> Partition:
        topic_partition = TopicPartition(topic.name, index)
        home = self._homes.get(topic_partition)
        if home is None:
            online = [d for d in self.directories if d.flusher.failure is None] or self.directories
            home = self._homes[topic_partition] = min(online, key=lambda d: d.hosted)
        home.hosted += 1
        partition = Partition(
            topic_partition,
            topic.topic_id,
            leader_epoch,
            config,
            home.store,
            home.flusher,
            self._clock,
            self._executor,
            is_durable=self._is_durable,
            log_start_offset=home.log_starts.get(topic_partition, 0),
        )
        self._by_name[topic.name, index] = partition
        self._by_wire[topic.name.encode(), index] = partition
        self._by_wire[topic.topic_id, index] = partition
        return partition

    def _drop_topic(self, name: str) -> None:
        for key in [k for k in self._by_name if k[0] == name]:
            partition = self._by_name.pop(key)
            self._by_wire.pop((name.encode(), key[1]), None)
            self._by_wire.pop((partition.topic_id, key[1]), None)
            home = self._homes.pop(partition.topic_partition)
            home.hosted -= 1
            home.recovery_points.pop(partition.topic_partition, None)
            home.log_starts.pop(partition.topic_partition, None)
            partition.drop()

    def _reconfigure(self, topic: TopicImage | None) -> None:
        if topic is None:
            return
        config = TopicConfig.resolve(topic.configs, self._config)
        for registration in topic.partitions:
            hosted = self._by_name.get((topic.name, registration.partition))
            if hosted is not None:
                hosted.configure(config)

    def _storage_failed(self, store: LogStore, error: StorageError) -> None:
        self._log.error("storage.log_directory_offline", place=store.place, reason=error.reason)
        for partition in self._by_name.values():
            if partition.store is store:
                partition.storage_failed(error)

    # ----------------------------------------------------------------------------------------------- start, stop, upkeep

    async def recover(self) -> Mapping[str, int]:
        """After an unclean stop, check every stored log from its recovery point on; returns batches read per directory."""
        loop = asyncio.get_running_loop()
        read: dict[str, int] = {}
        for directory in self.directories:
            if directory.store.was_clean:
                continue
            stored = {partition for partition, _ in directory.store.existing()}
            waiting = [
                loop.run_in_executor(self._executor, p.recover, directory.recovery_points.get(p.topic_partition, 0))
                for p in self._by_name.values()
                if p.store is directory.store and p.topic_partition in stored
            ]
            read[directory.store.place] = sum(opened.batches_read for opened in await asyncio.gather(*waiting))
        return read

    def delete_old_segments(self) -> int:
        now_ms = self._clock.now_ms()
        return sum(partition.delete_old_segments(now_ms) for partition in self._by_name.values())

    def expire_producers(self) -> None:
        older_than = self._clock.now_ms() - self._config.producer_id_expiration_ms
        for partition in self._by_name.values():
            partition.expire_producers(older_than)

    async def save_checkpoints(self) -> None:
        """Recovery points and log start offsets are durable when this returns. Raises: StorageError."""
        async with self._checkpoint_files:
            await asyncio.get_running_loop().run_in_executor(self._executor, self.write_checkpoints)

    async def purge(self) -> None:
        """Give back the room of what retention, DeleteRecords and deleted topics put aside."""
        for directory in self.directories:
            if directory.flusher.failure is None:
                await asyncio.get_running_loop().run_in_executor(self._executor, directory.store.purge)

    def write_checkpoints(self) -> None:
        """Blocking. Recovery points never run ahead of what was flushed."""
        for directory in self.directories:
            if directory.flusher.failure is not None:
                continue
            for partition in tuple(self._by_name.values()):
                if partition.store is directory.store and partition.is_open:
                    directory.recovery_points[partition.topic_partition] = partition.flushed_offset
                    directory.log_starts[partition.topic_partition] = partition.log_start_offset
            directory.store.write_checkpoint(RECOVERY_POINTS, directory.recovery_points)
            directory.store.write_checkpoint(LOG_STARTS, directory.log_starts)

    async def close(self) -> None:
        """Flush everything, write what the next start needs, leave the clean mark where all of it went well."""
        for directory in self.directories:
            await directory.flusher.drain()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._close_logs)

    def _close_logs(self) -> None:
        for directory in self.directories:
            directory.flusher.close()
        for partition in self._by_name.values():
            if partition.is_open and partition.flushed_offset < partition.log_end_offset:
                try:
                    partition.flush_log()
                    partition.flushed_offset = partition.log_end_offset
                except StorageError as error:
                    self._log.error("storage.flush_at_close_failed", place=error.place, reason=error.reason)
        self.write_checkpoints()
        for partition in self._by_name.values():
            partition.close()
        for directory in self.directories:
            directory.store.close(clean=directory.flusher.failure is None)
