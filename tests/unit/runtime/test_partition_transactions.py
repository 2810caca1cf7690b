"""Transactions in one partition: what read_committed readers get, and that it is known again after the log was opened anew."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainstem.api.storage import SidecarKind
from mainstem.core.log.aborted import AbortedTransaction
from mainstem.core.log.transactions import build_marker
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT, iterate
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.ids import NO_TOPIC_ID, TopicPartition
from mainstem.runtime.flusher import Flusher
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_lookup import offset_for_time
from mainstem.runtime.partition_outcomes import ReadUpTo
from mainstem_plugins.storage_memory.store import MemoryStore

NOW_MS = 1_700_000_000_000


class VirtualClock:
    def now_ms(self) -> int:
        return NOW_MS

    monotonic_ms = now_ms


class Home:
    """One place on which a partition is opened again and again."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.executor = ThreadPoolExecutor(1)
        self.partition = self.open()
        self.sequence = 0

    def open(self, **overrides: str) -> Partition:
        config = TopicConfig.resolve({"internal.segment.bytes": "400", **overrides}, BrokerConfig.from_texts({}))
        self.partition = Partition(
            TopicPartition("t", 0),
            NO_TOPIC_ID,
            0,
            config,
            self.store,
            Flusher(lambda error: None),
            VirtualClock(),
            self.executor,
            is_durable=False,
        )
        return self.partition

    def write(self, producer_id: int = -1, time: int = NOW_MS) -> int:
        fields = {}
        if producer_id >= 0:
            fields = {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": self.sequence}
            fields["attributes"] = TRANSACTIONAL_BIT
            self.sequence += 1
        outcome = self.partition.append_batch(records.encode([b"k"], [b"v" * 50], [time], **fields))
        assert not outcome.error
        return outcome.base_offset

    def end(self, producer_id: int, *, is_commit: bool) -> int:
        marker = build_marker(producer_id, 0, NOW_MS, is_commit=is_commit, coordinator_epoch=0)
        outcome = self.partition.append_batch(marker)
        assert not outcome.error
        return outcome.base_offset


@pytest.fixture
def home() -> Iterator[Home]:
    made = Home()
    yield made
    made.executor.shutdown()


def committed(partition: Partition, offset: int = 0) -> tuple[list[int], list[tuple[int, int]]]:
    """Base offsets that a read_committed reader is sent, and the aborted transactions it is told to skip."""
    outcome = partition.read(offset, 1 << 20, up_to=ReadUpTo.LAST_STABLE_OFFSET, may_block=True)
    return [header.base_offset for _, header in iterate(outcome.data)], list(outcome.aborted)


def test_reader_of_committed_records_stops_at_the_last_stable_offset(home: Home) -> None:
    home.write()
    home.write(7)
    home.write()
    partition = home.partition
    assert (partition.high_watermark, partition.last_stable_offset) == (3, 1)
    assert committed(partition) == ([0], [])
    home.end(7, is_commit=False)
    assert partition.last_stable_offset == 4
    assert committed(partition) == ([0, 1, 2, 3], [(7, 1)])
    home.write(7)
    home.end(7, is_commit=True)
    assert committed(partition, 4)[1] == []


def test_aborted_transactions_are_known_again_after_a_restart(home: Home) -> None:
    for _ in range(6):
        home.write(7)
        home.end(7, is_commit=False)
    home.write(9)
    before = list(home.partition.aborted_transactions(0, 100))
    assert len(before) == 6
    home.partition.close()
    assert len(home.store.open_log(TopicPartition("t", 0), NO_TOPIC_ID).sidecars(SidecarKind.TRANSACTION_INDEX)) > 1
    again = home.open()
    assert again.last_stable_offset == 12
    assert list(again.aborted_transactions(0, 100)) == before


def test_aborted_transactions_of_forgotten_producers_are_known_again(home: Home) -> None:
    home.write(7)
    home.end(7, is_commit=False)
    home.partition.expire_producers(NOW_MS + 1)
    home.partition.close()
    assert committed(home.open()) == ([0, 1], [(7, 0)])


def test_damaged_index_is_rebuilt_from_the_batches(home: Home) -> None:
    home.write(7)
    home.end(7, is_commit=False)
    home.partition.close()
    log = home.store.open_log(TopicPartition("t", 0), NO_TOPIC_ID)
    log.put_sidecar(SidecarKind.TRANSACTION_INDEX, 0, b"damaged")
    again = home.open()
    assert again.high_watermark == 2
    assert list(again.aborted_transactions(0, 2)) == [AbortedTransaction(7, 0, 1, 2)]


def test_unclean_restart_finds_open_and_aborted_transactions(home: Home) -> None:
    home.write(7)
    home.end(7, is_commit=False)
    home.write(9)
    again = home.open()
    again.recover(0)
    assert again.last_stable_offset == 2
    assert list(again.aborted_transactions(0, 2)) == [AbortedTransaction(7, 0, 1, 2)]


def test_indexes_go_with_their_segments(home: Home) -> None:
    for _ in range(8):
        home.write(7)
        home.end(7, is_commit=False)
    segments = [s.base_offset for s in home.partition.log.segments()]
    home.partition.trim(segments[2])
    left = home.partition.log.sidecars(SidecarKind.TRANSACTION_INDEX)
    assert min(left) >= segments[2]
    assert all(a.last_offset >= segments[2] for a in home.partition.aborted_transactions(0, 100))
    assert home.partition.log_start_offset == segments[2]


def test_time_lookup_passes_over_markers(home: Home) -> None:
    home.write(7, time=NOW_MS - 500)
    home.end(7, is_commit=True)
    later = home.write(time=NOW_MS)
    found = offset_for_time(home.partition, NOW_MS - 100)
    assert found is not None
    assert (found.offset, found.timestamp) == (later, NOW_MS)


def test_retention_replaces_an_active_segment_that_is_too_old(home: Home) -> None:
    home.write(time=NOW_MS - 2000)
    partition = home.open(**{"retention.ms": "1000"})
    assert partition.log_end_offset == 1
    assert partition.delete_old_segments(NOW_MS) == 1
    assert (partition.log_start_offset, partition.log_end_offset) == (1, 1)
    assert partition.delete_old_segments(NOW_MS + 10_000) == 0
    assert home.write() == 1
