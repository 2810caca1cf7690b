"""The cleaner on partitions in memory: what it chooses, what it remembers, what it does when a log is damaged or goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from mainstem.core.metadata.image import MetadataImage
from mainstem.model import records
from mainstem.model.cluster import TopicDeleted
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import StorageError
from mainstem.model.ids import NO_TOPIC_ID, TopicPartition
from mainstem.runtime.cleaner import Cleaner, Pacing
from mainstem.runtime.cleaning_pass import CleaningStopped
from mainstem.runtime.flusher import Flusher
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_opening import CLEANER_CHECKPOINT
from mainstem_plugins.storage_memory.store import MemoryStore

START_MS = 1_700_000_000_000
CONFIG = BrokerConfig.from_texts({})


class VirtualClock:
    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    monotonic_ms = now_ms


class Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    info = warning = error

    def debug(self, event: str, **facts: Any) -> None:
        """Nobody asks."""


class World:
    """A few hosted partitions and their cleaner."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = VirtualClock()
        self.log = Lines()
        self.purges: list[int] = []
        self.executor = ThreadPoolExecutor(1)
        self.hosted: dict[tuple[str, int], Partition] = {}
        self.flusher = Flusher(lambda error: None)
        self.cleaner = self.new_cleaner()

    def new_cleaner(self) -> Cleaner:
        directory = SimpleNamespace(store=self.store, purge_within=self.purges.append)
        world = self

        class Hosted:
            directories = (directory,)

            def __iter__(self) -> Any:
                return iter(world.hosted.values())

        return Cleaner(Hosted(), lambda: CONFIG, self.clock, self.log)  # type: ignore[arg-type]

    def host(self, name: str, **overrides: str) -> Partition:
        given = {"cleanup_policy": "compact", "internal_segment_bytes": "300", **overrides}
        config = TopicConfig.resolve({k.replace("_", "."): v for k, v in given.items()}, CONFIG)
        partition = Partition(
            TopicPartition(name, 0),
            NO_TOPIC_ID,
            0,
            config,
            self.store,
            self.flusher,
            self.clock,
            self.executor,
            is_durable=False,
        )
        self.hosted[name, 0] = partition
        return partition

    def write(self, partition: Partition, count: int, keys: int = 2) -> None:
        for n in range(count):
            batch = records.encode([b"k%d" % (n % keys)], [b"%d" % n], [self.clock.ms])
            assert not partition.append(memoryview(bytearray(batch))).error


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.cleaner.close()
    made.executor.shutdown()


def values(partition: Partition) -> list[bytes | None]:
    out: list[bytes | None] = []
    offset = partition.log_start_offset
    while offset < partition.log_end_offset:
        columns = records.decode(bytes(partition.log.read(offset, partition.log_end_offset, 1)), from_offset=offset)
        if not columns.offsets:
            break
        out += columns.values
        offset = columns.offsets[-1] + 1
    return out


async def test_filthiest_log_comes_first_until_none_is_dirty(world: World) -> None:
    tidy, dirty = world.host("tidy"), world.host("dirty")
    kept = world.host("kept", cleanup_policy="delete")
    world.write(tidy, 12)
    assert await world.cleaner.clean_filthiest()
    world.write(tidy, 40)
    world.write(dirty, 40)
    world.write(kept, 40)
    assert await world.cleaner.clean_filthiest()
    assert len(values(dirty)) < 40
    assert await world.cleaner.clean_filthiest()
    assert not await world.cleaner.clean_filthiest()
    assert len(values(kept)) == 40
    assert values(dirty)[-1] == b"39"
    assert world.cleaner.counters.passes == 3
    assert world.cleaner.counters.max_dirty_ratio <= 0.5


async def test_clean_offset_is_kept_for_the_next_start(world: World) -> None:
    partition = world.host("t")
    world.write(partition, 40)
    await world.cleaner.clean_filthiest()
    (active,) = partition.log.segments()[-1:]
    assert world.store.read_checkpoint(CLEANER_CHECKPOINT) == {TopicPartition("t", 0): active.base_offset}
    assert world.purges == [partition.config.file_delete_delay_ms]
    again = world.new_cleaner()
    assert not await again.clean_filthiest()
    await again.close()


async def test_topic_of_the_same_name_begins_anew(world: World) -> None:
    partition = world.host("t")
    world.write(partition, 40)
    await world.cleaner.clean_filthiest()
    partition.drop()
    world.cleaner.follow([TopicDeleted(name="t", topic_id=NO_TOPIC_ID)], MetadataImage())
    world.write(world.host("t"), 40)
    (candidate,) = world.cleaner.candidates()
    assert candidate.cleanable.first_dirty_offset == 0


async def test_damaged_log_is_marked_and_the_others_go_on(world: World) -> None:
    damaged, other = world.host("damaged"), world.host("other")
    world.write(damaged, 60)
    world.write(other, 40)
    segment = damaged.log._segments[1]  # type: ignore[attr-defined]
    segment._data[0] = segment._data[0][:-1] + b"!"
    before = damaged.log.segments()
    while await world.cleaner.clean_filthiest():
        pass
    assert world.cleaner.uncleanable == {TopicPartition("damaged", 0)}
    assert [event for event, _ in world.log.events] == ["cleaner.log_is_uncleanable"]
    assert damaged.log.segments() == before
    assert len(values(other)) < 40


async def test_deleted_topic_ends_its_pass_quietly(world: World) -> None:
    partition = world.host("t")
    world.write(partition, 200)
    cleaning = asyncio.create_task(world.cleaner.clean_filthiest())
    await asyncio.sleep(0)
    partition.drop()
    await cleaning
    assert world.log.events == []
    assert world.cleaner.uncleanable == set()
    assert world.store.read_checkpoint(CLEANER_CHECKPOINT) == {}


async def test_gaps_are_no_damage_after_the_topic_stopped_being_compacted(world: World) -> None:
    """A crash then makes recovery read the log from its beginning, and it once cut where compaction had left a gap."""
    partition = world.host("t")
    world.write(partition, 3, keys=3)
    world.write(partition, 40)
    await world.cleaner.clean_filthiest()
    before = values(partition)
    again = world.host("t", cleanup_policy="delete")
    again.recover(0)
    assert (again.log_end_offset, values(again)) == (43, before)


async def test_full_disk_is_reported_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = world.host("t")
    world.write(partition, 40)

    def full(first_base: int, end_base: int) -> None:
        raise StorageError("memory", "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(partition.log, "rewrite", full)
        assert not await world.cleaner.clean_filthiest()
    assert [event for event, _ in world.log.events] == ["cleaner.storage_failed"]
    assert await world.cleaner.clean_filthiest()
    assert len(values(partition)) < 40


async def test_log_waits_for_max_compaction_lag_at_most(world: World) -> None:
    partition = world.host("t", min_cleanable_dirty_ratio="1.0", max_compaction_lag_ms="5000")
    world.write(partition, 40)
    assert not await world.cleaner.clean_filthiest()
    world.clock.ms += 5001
    assert await world.cleaner.clean_filthiest()


async def test_min_compaction_lag_holds_young_records_back(world: World) -> None:
    partition = world.host("t", min_compaction_lag_ms="5000")
    world.write(partition, 40)
    assert not await world.cleaner.clean_filthiest()
    world.clock.ms += 5000
    world.write(partition, 40)
    assert await world.cleaner.clean_filthiest()
    assert values(partition)[-40:] == [b"%d" % n for n in range(40)]


def test_pacing_keeps_to_the_rate_and_ends_when_told() -> None:
    clock, waits = VirtualClock(), []

    class Stopping:
        is_set = False

        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            clock.ms += round(seconds * 1000)
            return self.is_set

    stopping = Stopping()
    pace = Pacing(clock, stopping, bytes_per_second=1_000_000)  # type: ignore[arg-type]
    for _ in range(10):
        pace(1_000_000, 0)
    assert clock.ms - START_MS == pytest.approx(10_000, abs=20)
    stopping.is_set = True
    with pytest.raises(CleaningStopped):
        pace(1_000_000, 0)
