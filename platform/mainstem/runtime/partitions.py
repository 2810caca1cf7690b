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
from mainstem.model.ids import NO_TOPIC_ID, TopicPartition
from mainstem.runtime.log_directory import LOG_STARTS, RECOVERY_POINTS, LogDirectory
from mainstem.runtime.partition import Partition

RECOVERY_PARTS = 2
STRAYS_NAMED_MAX = 20


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
        failures: Sequence[StorageError | None] = (),
    ) -> None:
        """`failures`: for each store why it could not be opened, if it could not."""
        self._broker_id = broker_id
        self._static_config = config
        self._config = config
        self._executor = executor
        self._clock = clock
        self._log = log
        self.is_durable = is_durable
        self._by_name: dict[tuple[str, int], Partition] = {}
        # Keyed as the wire has it, a topic's UTF-8 name or its id: one lookup per partition on the hot path.
        self._by_wire: dict[tuple[bytes, int], Partition] = {}
        # Two writers of one checkpoint file would overtake each other.
        self._checkpoint_files = asyncio.Lock()
        self._homes: dict[TopicPartition, LogDirectory] = {}
        self._is_loading = False
        self.directories = [LogDirectory(store, executor, log, self._storage_failed) for store in stores]
        for directory, failure in zip(self.directories, failures or [None] * len(stores), strict=True):
            if failure is not None:
                directory.flusher.fail(failure)
        self.broker_epoch = -1
        for directory in self.directories:
            self._homes |= dict.fromkeys(directory.stored, directory)

    def get(self, topic: str, partition: int) -> Partition | None:
        return self._by_name.get((topic, partition))

    @property
    def wire_lookup(self) -> Callable[[tuple[bytes, int]], Partition | None]:
        """`by_wire` as one call of C, for who looks up a partition for every request."""
        return self._by_wire.get

    def by_wire(self, topic: bytes, partition: int) -> Partition | None:
        """`topic` is the name as UTF-8 bytes or the topic id."""
        return self._by_wire.get((topic, partition))

    def stored(self, topic: str) -> set[int]:
        """Partitions of a topic whose log exists; the others were never used."""
        found = {name.partition for d in self.directories for name in d.stored if name.topic == topic}
        return found | {p.topic_partition.partition for p in self if p.is_open and p.topic_partition.topic == topic}

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    # ----------------------------------------------------------------------------------------------------- the image

    def load(self, image: MetadataImage) -> None:
        """Host what the image gives to this broker; for the start."""
        self._config = effective_config(image, self._static_config)
        self._is_loading = True
        for topic in image.topics.values():
            self._host_topic(topic, image)
        self._is_loading = False
        for directory in self.directories:
            self._name_strays(directory, image)
            directory.purge_within(self._config.log_segment_delete_delay_ms)

    def _name_strays(self, directory: LogDirectory, image: MetadataImage) -> None:
        """Partitions on the disk that no topic has: a copied folder, or a crash in the middle of a deletion. They stay."""
        strays = []
        for partition, topic_id in directory.stored.items():
            topic = image.topics.get(partition.topic)
            if topic is None or topic_id not in (topic.topic_id, NO_TOPIC_ID):
                strays.append(f"{partition.topic}-{partition.partition}")
        if strays:
            self._log.warning(
                "storage.stray_partitions",
                place=directory.store.place,
                count=len(strays),
                folders=strays[:STRAYS_NAMED_MAX],
            )

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
            home = self._homes[topic_partition] = self._choose_home()
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
            is_durable=self.is_durable,
            log_start_offset=home.checkpoints[LOG_STARTS].get(topic_partition, 0),
        )
        self._by_name[topic.name, index] = partition
        self._by_wire[topic.name.encode(), index] = partition
        self._by_wire[topic.topic_id, index] = partition
        return partition

    def _choose_home(self) -> LogDirectory:
        """The directory with the fewest partitions. While one is offline at start, what is not found may be in there."""
        online = [directory for directory in self.directories if not directory.is_offline]
        if self._is_loading and len(online) < len(self.directories):
            return next(directory for directory in self.directories if directory.is_offline)
        return min(online or self.directories, key=lambda directory: directory.hosted)

    def _drop_topic(self, name: str) -> None:
        for key in [k for k in self._by_name if k[0] == name]:
            partition = self._by_name.pop(key)
            self._by_wire.pop((name.encode(), key[1]), None)
            self._by_wire.pop((partition.topic_id, key[1]), None)
            home = self._homes.pop(partition.topic_partition)
            home.forget(partition.topic_partition)
            partition.drop()
            home.purge_within(partition.config.file_delete_delay_ms)

    def _reconfigure(self, topic: TopicImage | None) -> None:
        if topic is None:
            return
        config = TopicConfig.resolve(topic.configs, self._config)
        for registration in topic.partitions:
            hosted = self._by_name.get((topic.name, registration.partition))
            if hosted is not None:
                hosted.configure(config)

    def _storage_failed(self, store: LogStore, error: StorageError) -> None:
        for partition in self._by_name.values():
            if partition.store is store:
                partition.storage_failed(error)

    # ----------------------------------------------------------------------------------------------- start, stop, upkeep

    async def recover(self) -> Mapping[str, int]:
        """After an unclean stop, check every stored log from its recovery point on; returns batches read per directory."""
        read: dict[str, int] = {}
        for directory in self.directories:
            if not directory.store.was_clean and not directory.is_offline:
                read[directory.store.place] = await self._recover_directory(directory)
        return read

    async def _recover_directory(self, directory: LogDirectory) -> int:
        loop = asyncio.get_running_loop()
        points = directory.checkpoints[RECOVERY_POINTS]
        stored = [
            partition
            for partition in self._by_name.values()
            if partition.store is directory.store
            and directory.stored.get(partition.topic_partition) in (partition.topic_id, NO_TOPIC_ID)
        ]
        # In as many parts as there are threads: a future for each of ten thousand logs costs more than the logs.
        parts = [stored[first::RECOVERY_PARTS] for first in range(RECOVERY_PARTS)]
        waiting = [
            loop.run_in_executor(
                self._executor, self._recover_logs, [(p, points.get(p.topic_partition, 0)) for p in part]
            )
            for part in parts
        ]
        try:
            return sum(await asyncio.gather(*waiting))
        except StorageError as error:
            directory.flusher.fail(error)
            return 0

    def _recover_logs(self, logs: Sequence[tuple[Partition, int]]) -> int:
        """In a thread. Raises: StorageError."""
        batches_read = 0
        for partition, recovery_point in logs:
            opened = partition.recover(recovery_point)
            batches_read += opened.batches_read
            if opened.cut is not None:
                self._log.warning(
                    "storage.log_cut",
                    topic=partition.topic_partition.topic,
                    partition=partition.topic_partition.partition,
                    bytes=opened.cut.bytes,
                    end_offset=opened.cut.end_offset,
                    end_offset_before=opened.cut.end_offset_before,
                    reason=opened.cut.reason,
                )
        return batches_read

    async def delete_old_segments(self) -> int:
        """Retention. Logs that nobody has used since the start are opened for it, one at a time between other work."""
        now_ms = self._clock.now_ms()
        deleted = 0
        for directory in self.directories:
            for name in tuple(directory.stored):
                partition = self._by_name.get((name.topic, name.partition))
                if partition is not None and not partition.is_open and not directory.is_offline:
                    partition.log  # noqa: B018 - opens it
                    await asyncio.sleep(0)
        for partition in self._by_name.values():
            gone = 0 if partition.is_offline else partition.delete_old_segments(now_ms)
            if gone:
                deleted += gone
                self._homes[partition.topic_partition].purge_within(partition.config.file_delete_delay_ms)
        return deleted

    def expire_producers(self) -> None:
        older_than = self._clock.now_ms() - self._config.producer_id_expiration_ms
        for partition in self._by_name.values():
            partition.expire_producers(older_than)

    async def save_checkpoints(self) -> None:
        """Recovery points and log start offsets are durable when this returns. Raises: StorageError.

        Offsets are taken on the loop and written in a thread.
        """
        loop = asyncio.get_running_loop()
        async with self._checkpoint_files:
            for directory in self.directories:
                if not directory.is_offline:
                    offsets = directory.note_offsets(self._by_name.values())
                    await loop.run_in_executor(self._executor, directory.write, offsets)

    async def close(self) -> None:
        """Flush everything, write what the next start needs, leave the clean mark where all of it went well."""
        for directory in self.directories:
            directory.close()
            await directory.flusher.drain()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._close_logs)

    def _close_logs(self) -> None:
        for directory in self.directories:
            directory.flusher.close()
        for partition in self._by_name.values():
            if partition.is_open and not partition.is_offline and partition.flushed_offset < partition.log_end_offset:
                try:
                    partition.flush_log()
                    partition.flushed_offset = partition.log_end_offset
                except StorageError as error:
                    self._log.error("storage.flush_at_close_failed", place=error.place, reason=error.reason)
                    self._homes[partition.topic_partition].flusher.failure = error
        for directory in self.directories:
            if not directory.is_offline:
                directory.write(directory.note_offsets(self._by_name.values()))
        for partition in self._by_name.values():
            partition.close()
        for directory in self.directories:
            try:
                directory.store.close(clean=not directory.is_offline, broker_epoch=self.broker_epoch)
            except StorageError as error:
                self._log.error("storage.close_failed", place=error.place, reason=error.reason)
