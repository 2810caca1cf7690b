"""Ports of the coordinator, faked: a partition whose commits the test decides, a virtual clock and scheduler."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mainstem.core.metadata.image import ConfigResource, MetadataImage
from mainstem.model.batch import patch_offset, read_header
from mainstem.model.cluster import PartitionRegistration, TopicCreated
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.group import GroupConfig
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.ids import TopicId
from mainstem.model.topic import GROUP_OFFSETS_TOPIC
from mainstem.runtime.groups import Groups

sys.path.insert(0, str(Path(__file__).resolve().parent))

from group_client import GroupClient

START_MS = 1_700_000_000_000


class VirtualTime:
    """Clock and scheduler in one; time passes in `advance` only."""

    def __init__(self) -> None:
        self._elapsed_ms = 0
        self._entries: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = itertools.count()
        self.calls_scheduled = 0

    def now_ms(self) -> int:
        return START_MS + self._elapsed_ms

    def monotonic_ms(self) -> int:
        return self._elapsed_ms

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        self.calls_scheduled += 1
        entry = (self._elapsed_ms + delay * 1000, next(self._order), lambda: callback(*args))
        self._entries.append(entry)
        return Cancel(lambda: self._entries.remove(entry) if entry in self._entries else None)

    def advance(self, ms: int) -> None:
        end = self._elapsed_ms + ms
        while due := [entry for entry in self._entries if entry[0] <= end]:
            entry = min(due)
            self._entries.remove(entry)
            self._elapsed_ms = max(self._elapsed_ms, round(entry[0]))
            entry[2]()
        self._elapsed_ms = end

    def stall(self, ms: int) -> None:
        """Time passes and nobody notices until it is over."""
        self._elapsed_ms += ms
        self.advance(0)


class Cancel(NamedTuple):
    cancel: Callable[[], Any]


class Outcome(NamedTuple):
    error: ErrorCode
    base_offset: int = -1
    last_offset: int = -1


class FakePartition:
    """A log in a list. With `is_held` nothing is committed until `commit()`."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.log_end_offset = 0
        self.high_watermark = 0
        self.is_held = False
        self.refuse: ErrorCode | None = None
        self.is_broken = False
        self.replay_chunk = 2
        self.before_chunk: Callable[[], None] = lambda: None
        self._waiters: list[tuple[int, Callable[[ErrorCode], None]]] = []

    def append_batch(self, batch: bytes, admission: Any = None) -> Outcome:
        if self.is_broken:
            raise StorageError("here", "disk on fire")
        if self.refuse is not None:
            return Outcome(self.refuse)
        data = bytearray(batch)
        base = self.log_end_offset
        patch_offset(data, 0, base, 0)
        self.batches.append(bytes(data))
        self.log_end_offset = read_header(data).next_offset
        if not self.is_held:
            self.commit()
        return Outcome(ErrorCode.NONE, base, self.log_end_offset - 1)

    def commit(self, up_to: int | None = None) -> None:
        self.high_watermark = self.log_end_offset if up_to is None else up_to
        ready = [w for w in self._waiters if w[0] < self.high_watermark]
        self._waiters = [w for w in self._waiters if w[0] >= self.high_watermark]
        for _, callback in ready:
            callback(ErrorCode.NONE)

    def fail(self, error: ErrorCode) -> None:
        waiters, self._waiters = self._waiters, []
        for _, callback in waiters:
            callback(error)

    def when_committed(self, offset: int, callback: Callable[[ErrorCode], None]) -> None:
        if offset < self.high_watermark:
            callback(ErrorCode.NONE)
        else:
            self._waiters.append((offset, callback))

    async def replay(self, from_offset: int = 0) -> AsyncIterator[bytes]:
        whole = [b for b in self.batches if read_header(b).next_offset > from_offset]
        for start in range(0, len(whole), self.replay_chunk):
            self.before_chunk()
            yield b"".join(whole[start : start + self.replay_chunk])


class FakeCluster:
    """Metadata and partitions of one broker. The internal topic appears on `ensure_topic`."""

    def __init__(self, broker_id: int = 1, partition_count: int = 4) -> None:
        self.broker_id = broker_id
        self.partition_count = partition_count
        self.image = MetadataImage()
        self.config = BrokerConfig.from_texts({})
        self.hosted: dict[tuple[str, int], FakePartition] = {}
        self.creations = 0
        self.refuse_creation: ErrorCode | None = None
        self._subscribers: list[Callable[[Sequence[Any], Any], None]] = []

    def group_config(self, group_id: str) -> GroupConfig:
        return GroupConfig.resolve(self.image.configs_of(ConfigResource("group", group_id)), self.config)

    async def ensure_topic(self, name: str) -> ErrorCode:
        self.creations += 1
        if self.refuse_creation is not None:
            return self.refuse_creation
        self.create(name)
        return ErrorCode.NONE

    def create(self, name: str, count: int | None = None) -> None:
        count = count or self.partition_count
        for index in range(count):
            self.hosted.setdefault((name, index), FakePartition())
        partitions = tuple(self.registration(i, self.broker_id) for i in range(count))
        self.change(TopicCreated(name=name, topic_id=self.id_of(name), partitions=partitions, configs={}))

    @staticmethod
    def id_of(name: str) -> TopicId:
        return TopicId(name.encode()[:16].ljust(16, b"."))

    def change(self, *changes: Any) -> None:
        self.image = self.image.apply_all(changes)
        self.publish(*changes)

    @staticmethod
    def registration(index: int, leader: int) -> PartitionRegistration:
        return PartitionRegistration(partition=index, leader=leader, leader_epoch=0, replicas=(1,), isr=(1,))

    def publish(self, *changes: Any) -> None:
        for callback in self._subscribers:
            callback(changes, self.image)

    def subscribe(self, callback: Callable[[Sequence[Any], Any], None]) -> None:
        self._subscribers.append(callback)

    def get(self, topic: str, partition: int) -> FakePartition | None:
        return self.hosted.get((topic, partition))

    def stored(self, topic: str) -> set[int]:
        return {index for (name, index), p in self.hosted.items() if name == topic and p.batches}

    def partition_of(self, groups: Groups, group_id: str) -> FakePartition:
        return self.hosted[GROUP_OFFSETS_TOPIC, groups.partition_for(group_id)]


class Lines:
    """A log that keeps its events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def _keep(self, level: str) -> Callable[..., None]:
        return lambda event, **facts: self.events.append((level, event))

    def __getattr__(self, level: str) -> Callable[..., None]:
        return self._keep(level)

    def at(self, *levels: str) -> list[str]:
        return [event for level, event in self.events if level in levels]


class World:
    """One broker's groups over fakes."""

    def __init__(self, cluster: FakeCluster | None = None, **texts: str) -> None:
        self.cluster = cluster or FakeCluster()
        self.time = VirtualTime()
        self.log = Lines()
        fixed = {
            "node.id": "1",
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.num.partitions": "4",
        }
        self.config = self.cluster.config = BrokerConfig.from_texts({**fixed, **texts})
        ids = itertools.count(1)
        self.groups = Groups(
            self.config,
            self.cluster,
            self.cluster,
            self.time,
            self.log,
            new_uuid=lambda: f"uuid-{next(ids)}",
            scheduler=self.time,
        )

    def partition_of(self, group_id: str) -> FakePartition:
        return self.cluster.partition_of(self.groups, group_id)


@pytest.fixture
def make_world() -> type[World]:
    return World


@pytest.fixture
def make_cluster() -> type[FakeCluster]:
    return FakeCluster


@pytest.fixture
def make_partition() -> type[FakePartition]:
    return FakePartition


@pytest.fixture
def virtual_time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
async def client(make_world: Any) -> AsyncIterator[GroupClient]:
    world = make_world()
    world.cluster.create("__consumer_offsets")
    world.cluster.create("orders", 2)
    yield GroupClient(world)
    await world.groups.close()
