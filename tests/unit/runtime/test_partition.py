"""One partition on the memory store, with a flusher that flushes when the test says so."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mainstem.core.log.transactions import build_marker
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.ids import TopicId, TopicPartition
from mainstem.runtime.flusher import AppendedMark
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_outcomes import ReadUpTo
from mainstem.runtime.purgatory import DelayedFetch
from mainstem_plugins.storage_memory.store import MemoryStore


class VirtualClock:
    def now_ms(self) -> int:
        return 1_700_000_000_000

    monotonic_ms = now_ms


class ManualFlusher:
    """Remembers who is dirty; `flush` finishes a round with what was appended when it `start`ed."""

    failure: StorageError | None = None

    def __init__(self) -> None:
        self.dirty: list[Any] = []
        self.later: list[Any] = []

    def mark_dirty(self, partition: Any) -> None:
        self.dirty.append(partition)

    def mark_within(self, partition: Any, delay_ms: int) -> None:
        self.later.append(partition)

    def start(self) -> list[tuple[Any, AppendedMark]]:
        marks = [(p, p.appended_mark()) for p in {*self.dirty, *self.later}]
        self.dirty, self.later = [], []
        return marks

    def finish(self, marks: list[tuple[Any, AppendedMark]]) -> None:
        for partition, mark in marks:
            partition.flushed(mark)


@pytest.fixture
def flusher() -> ManualFlusher:
    return ManualFlusher()


@pytest.fixture
def make_partition(flusher: ManualFlusher) -> Any:
    def make(*, is_durable: bool = True, **overrides: str) -> Partition:
        config = TopicConfig.resolve(
            {k.replace("_", "."): v for k, v in overrides.items()}, BrokerConfig.from_texts({})
        )
        executor = ThreadPoolExecutor(1)
        topic_partition = TopicPartition("t", 0)
        topic_id = TopicId(bytes(16))
        return Partition(
            topic_partition,
            topic_id,
            3,
            config,
            MemoryStore(),
            flusher,
            VirtualClock(),
            executor,
            is_durable=is_durable,
        )  # type: ignore[arg-type]

    return make


def batch(count: int = 1, value: bytes = b"v", **fields: int) -> bytes:
    return records.encode([None] * count, [value] * count, [1_700_000_000_000] * count, **fields)


def test_high_watermark_follows_the_flush_that_covered_the_append(make_partition: Any, flusher: ManualFlusher) -> None:
    partition = make_partition()
    partition.append_batch(batch(2))
    running = flusher.start()
    partition.append_batch(batch(3))
    assert (partition.log_end_offset, partition.high_watermark) == (5, 0)
    flusher.finish(running)
    assert partition.high_watermark == 2
    flusher.finish(flusher.start())
    assert partition.high_watermark == 5


@pytest.mark.parametrize("policy", ["none"])
def test_without_commit_policy_the_high_watermark_is_the_log_end(make_partition: Any, policy: str) -> None:
    partition = make_partition(flush_policy=policy)
    partition.append_batch(batch(2))
    assert partition.high_watermark == 2


def test_memory_is_committed_at_once(make_partition: Any) -> None:
    partition = make_partition(is_durable=False)
    partition.append_batch(batch(2))
    assert partition.high_watermark == 2


def test_readers_see_committed_records_only(make_partition: Any, flusher: ManualFlusher) -> None:
    partition = make_partition()
    partition.append_batch(batch(2))
    assert not partition.read(0, 1000, up_to=ReadUpTo.HIGH_WATERMARK, may_block=True).data
    flusher.finish(flusher.start())
    columns = records.decode(bytes(partition.read(0, 1000, up_to=ReadUpTo.HIGH_WATERMARK, may_block=True).data))
    assert columns.offsets == [0, 1]


@pytest.mark.parametrize("offset", [-1, 3, 100])
def test_offset_outside_the_log_is_out_of_range(make_partition: Any, offset: int) -> None:
    partition = make_partition(is_durable=False)
    partition.append_batch(batch(2))
    outcome = partition.read(offset, 1000, up_to=ReadUpTo.HIGH_WATERMARK, may_block=True)
    assert outcome.error is ErrorCode.OFFSET_OUT_OF_RANGE


def test_waiters_are_told_in_order_and_once(make_partition: Any, flusher: ManualFlusher) -> None:
    partition = make_partition()
    told: list[int] = []
    for n in range(3):
        outcome = partition.append_batch(batch())
        partition.when_committed(outcome.last_offset, lambda error, n=n: told.append(n))
    assert told == []
    flusher.finish(flusher.start())
    assert told == [0, 1, 2]
    partition.when_committed(1, lambda error: told.append(9))
    assert told[-1] == 9


def test_duplicate_is_answered_when_the_original_is_committed(make_partition: Any, flusher: ManualFlusher) -> None:
    partition = make_partition()
    retried = batch(producer_id=1, producer_epoch=0, base_sequence=0)
    first, again = (partition.append(memoryview(bytearray(retried))) for _ in range(2))
    assert (again.error, again.base_offset, partition.log_end_offset) == (ErrorCode.NONE, first.base_offset, 1)
    told: list[ErrorCode] = []
    partition.when_committed(again.last_offset, told.append)
    assert told == []
    flusher.finish(flusher.start())
    assert told == [ErrorCode.NONE]


def test_failed_directory_refuses_appends_and_tells_waiters(make_partition: Any, flusher: ManualFlusher) -> None:
    partition = make_partition()
    told: list[ErrorCode] = []
    partition.when_committed(partition.append_batch(batch()).last_offset, told.append)
    flusher.failure = StorageError("/disk", "no space left on device")
    partition.storage_failed(flusher.failure)
    assert told == [ErrorCode.KAFKA_STORAGE_ERROR]
    outcome = partition.append_batch(batch())
    assert outcome.error is ErrorCode.KAFKA_STORAGE_ERROR
    assert "/disk" in str(outcome.message)


def test_deleted_partition_tells_its_waiters(make_partition: Any) -> None:
    partition = make_partition()
    told: list[ErrorCode] = []
    partition.when_committed(partition.append_batch(batch()).last_offset, told.append)
    partition.drop()
    assert told == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert partition.append_batch(batch()).error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_fetch_that_began_between_append_and_flush_is_woken(make_partition: Any, flusher: ManualFlusher) -> None:
    """The append was counted before the wait began, so only the flush can end the wait; it once did not."""
    partition = make_partition()
    partition.append_batch(batch())
    woken = asyncio.Event()
    DelayedFetch([partition], 1, 60_000, woken.set)
    assert not woken.is_set()
    flusher.finish(flusher.start())
    assert woken.is_set()


async def test_fetch_waits_for_min_bytes_and_is_completed_once(make_partition: Any) -> None:
    partition = make_partition(is_durable=False)
    calls: list[int] = []
    one = batch(value=b"x" * 100)
    DelayedFetch([partition], len(one) * 2, 60_000, lambda: calls.append(1))
    partition.append_batch(one)
    assert calls == []
    partition.append_batch(one)
    partition.append_batch(one)
    assert calls == [1]
    assert partition.fetch_waiters == set()


class TestWaitingForCommittedRecords:
    """A read_committed Fetch: an open transaction of producer 7 holds back what is behind it."""

    BEGIN = batch(producer_id=7, producer_epoch=0, base_sequence=0, attributes=TRANSACTIONAL_BIT)
    END = build_marker(7, 0, 0, is_commit=True, coordinator_epoch=0)

    async def test_what_is_held_back_wakes_nobody_its_marker_does(self, make_partition: Any) -> None:
        partition = make_partition(is_durable=False)
        partition.append_batch(self.BEGIN)
        calls: list[int] = []
        DelayedFetch([partition], 1, 60_000, lambda: calls.append(1), is_stable=True)
        for _ in range(3):
            partition.append_batch(batch())
        assert calls == []
        partition.append_batch(self.END)
        assert calls == [1]

    async def test_what_was_held_back_before_counts_as_enough(self, make_partition: Any) -> None:
        partition = make_partition(is_durable=False)
        partition.append_batch(self.BEGIN)
        partition.append_batch(batch(value=b"x" * 10_000))
        calls: list[int] = []
        DelayedFetch([partition], 5_000, 60_000, lambda: calls.append(1), is_stable=True)
        partition.append_batch(self.END)
        assert calls == [1]

    async def test_without_transactions_min_bytes_is_waited_for(self, make_partition: Any) -> None:
        partition = make_partition(is_durable=False)
        calls: list[int] = []
        one = batch(value=b"x" * 100)
        DelayedFetch([partition], len(one) * 2, 60_000, lambda: calls.append(1), is_stable=True)
        partition.append_batch(one)
        assert calls == []
        partition.append_batch(one)
        assert calls == [1]

    async def test_readers_of_everything_are_woken_by_everything(self, make_partition: Any) -> None:
        partition = make_partition(is_durable=False)
        calls: list[int] = []
        DelayedFetch([partition], 1, 60_000, lambda: calls.append(1))
        partition.append_batch(self.BEGIN)
        assert calls == [1]


def test_append_gives_offsets_and_leader_epoch_and_leaves_the_rest_alone(make_partition: Any) -> None:
    partition = make_partition(is_durable=False)
    partition.append_batch(batch(4))
    sent = batch(2, value=b"payload")
    partition.append_batch(sent)
    stored = bytes(partition.read(4, 1000, up_to=ReadUpTo.HIGH_WATERMARK, may_block=True).data)
    assert stored[8:12] == sent[8:12]
    assert stored[16:] == sent[16:]
    assert (int.from_bytes(stored[:8]), int.from_bytes(stored[12:16])) == (4, 3)
    assert partition.end_offset_for_epoch(3) == (3, 6)


def test_log_append_time_is_stamped_by_the_broker(make_partition: Any) -> None:
    partition = make_partition(is_durable=False, message_timestamp_type="LogAppendTime")
    outcome = partition.append_batch(records.encode([None], [b"v"], [5]))
    assert outcome.log_append_time_ms == VirtualClock().now_ms()
    stored = bytes(partition.read(0, 1000, up_to=ReadUpTo.HIGH_WATERMARK, may_block=True).data)
    assert records.decode(stored).timestamps == [VirtualClock().now_ms()]


async def test_flush_starts_at_once_only_when_somebody_waits(make_partition: Any, flusher: ManualFlusher) -> None:
    partition = make_partition()
    outcome = partition.append_batch(batch())
    assert (flusher.dirty, flusher.later) == ([], [partition])
    partition.when_committed(outcome.last_offset, lambda error: None)
    assert flusher.dirty == [partition]
    flusher.finish(flusher.start())

    DelayedFetch([partition], 1, 60_000, lambda: None)
    partition.append_batch(batch())
    assert flusher.dirty == [partition]


def test_reader_with_records_of_an_older_leader_is_told_where_that_one_ended(make_partition: Any) -> None:
    """KIP-595: epoch 3 wrote offset 0, epoch 4 the rest; who has more of epoch 3 must cut it off."""
    partition = make_partition(is_durable=False)
    partition.append_batch(batch())
    partition.leader_epoch = 4
    partition.append_batch(batch(4))
    outcome = partition.read(3, 1000, up_to=ReadUpTo.LOG_END, may_block=True, last_fetched_epoch=3)
    assert (outcome.diverging, bytes(outcome.data)) == ((3, 1), b"")
    assert partition.read(1, 1000, up_to=ReadUpTo.LOG_END, may_block=True, last_fetched_epoch=4).diverging is None


def test_followers_read_what_is_not_committed_yet(make_partition: Any) -> None:
    partition = make_partition()
    partition.append_batch(batch())
    assert not partition.read(0, 1000, up_to=ReadUpTo.HIGH_WATERMARK, may_block=True).data
    assert partition.read(0, 1000, up_to=ReadUpTo.LOG_END, may_block=True).data


def test_who_reads_at_the_end_starts_the_flush_of_what_is_behind_it(
    make_partition: Any, flusher: ManualFlusher
) -> None:
    """Appends that nobody waited for may gather; a reader that polls must not wait for that."""
    partition = make_partition()
    partition.append_batch(batch())
    assert flusher.dirty == []
    partition.read(0, 1000, up_to=ReadUpTo.HIGH_WATERMARK, may_block=True)
    assert flusher.dirty == [partition]


@pytest.mark.parametrize(
    ("settings", "dirty", "later"),
    [
        ({"flush_policy": "none"}, 0, 0),
        ({"flush_policy": "none", "flush_messages": "3"}, 1, 0),
        ({"flush_policy": "none", "flush_ms": "50"}, 0, 1),
        ({"flush_policy": "interval"}, 0, 1),
        ({"flush_policy": "interval", "flush_messages": "3"}, 1, 0),
    ],
)
def test_kafkas_flush_settings_are_kept(
    make_partition: Any, flusher: ManualFlusher, settings: dict[str, str], dirty: int, later: int
) -> None:
    partition = make_partition(**settings)
    partition.append_batch(batch(2))
    assert flusher.dirty == []
    flusher.later.clear()
    partition.append_batch(batch(1))
    assert (len(flusher.dirty), len(flusher.later)) == (dirty, later)
    assert partition.high_watermark == 3


def test_the_epoch_of_the_leader_has_begun_before_its_first_batch(make_partition: Any) -> None:
    partition = make_partition(is_durable=False)
    assert [partition.end_offset_for_epoch(epoch) for epoch in (2, 3, 4)] == [(-1, -1), (3, 0), (-1, -1)]
