"""What compaction leaves, against a model: the last record of every key up to where it cleaned, everything above untouched."""

from __future__ import annotations

from typing import Any

import pytest
from compaction_kit import START_MS, CompactedLog, Row
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mainstem.core.log import batch_cleaner
from mainstem.core.log.aborted import AbortedTransaction
from mainstem.model.compression import Codec, CorruptRecords

DAY_MS = 86_400_000


def written(**settings_: Any) -> CompactedLog:
    log = CompactedLog(**settings_)
    log.append([(b"a", b"1"), (b"b", b"1"), (b"a", b"2")])
    log.append([(b"c", b"1"), (b"b", None), (b"a", b"3")])
    log.roll()
    return log


def pairs(rows: list[Row]) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(r.offset, r.key, r.value) for r in rows]


def test_last_record_of_every_key_is_left_with_its_offset_and_time() -> None:
    log = written()
    before = {r.offset: r for r in log.rows()}
    log.compact()
    assert pairs(log.rows()) == [(3, b"c", b"1"), (4, b"b", None), (5, b"a", b"3")]
    assert all(before[r.offset] == r for r in log.rows())
    assert log.checkpoint == 6


def test_active_segment_is_never_touched() -> None:
    log = written()
    log.append([(b"a", b"4"), (b"a", b"5")])
    log.compact()
    assert pairs(log.rows(6)) == [(6, b"a", b"4"), (7, b"a", b"5")]
    assert (5, b"a", b"3") in pairs(log.rows())


def test_tombstone_stays_for_delete_retention_after_it_was_first_cleaned() -> None:
    log = written(delete_retention_ms="1000")
    log.compact()
    (header, _), *_ = [b for b in log.batches() if b[0].last_offset == 5]
    assert header.delete_horizon_ms == START_MS + 1000
    for now, is_there in ((999, True), (1000, False)):
        log.now_ms = START_MS + now
        log.append([(b"x", b"1")])
        log.roll()
        log.compact()
        assert ((4, b"b", None) in pairs(log.rows())) is is_there
    assert pairs(log.rows())[:2] == [(3, b"c", b"1"), (5, b"a", b"3")]


def test_tombstone_that_is_newest_hides_the_value_before_it_is_gone_itself() -> None:
    log = CompactedLog(delete_retention_ms="0")
    log.append([(b"k", b"old")])
    log.roll()
    log.compact()
    log.append([(b"k", None)])
    log.roll()
    log.compact()
    assert pairs(log.rows()) == [(1, b"k", None)]


@pytest.mark.parametrize("codec", list(Codec))
def test_batch_keeps_codec_offsets_and_sequences(codec: Codec) -> None:
    log = CompactedLog()
    log.append([(b"%d" % (n % 40), b"value" * 10) for n in range(100)], producer_id=7, codec=codec)
    log.append([(b"tail", b"1")])
    log.roll()
    (before, _), *_ = log.batches()
    log.compact()
    (after, _), *_ = log.batches()
    assert (after.base_offset, after.last_offset_delta, after.base_sequence) == (0, 99, 0)
    assert (after.codec, after.producer_id, after.records_count) == (codec, 7, 40)
    assert after.max_timestamp == before.max_timestamp
    assert [r.offset for r in log.rows()] == [*range(60, 100), 100]


def test_emptied_batch_keeps_the_last_sequence_of_a_known_producer() -> None:
    log = CompactedLog()
    log.append([(b"k", b"1"), (b"k", b"2")], producer_id=7)
    log.append([(b"k", b"3")])
    log.append([(b"z", b"1")])
    log.roll()
    log.compact()
    (header, _), *_ = log.batches()
    assert (header.producer_id, header.base_sequence, header.last_sequence, header.records_count) == (7, 0, 1, 0)
    assert pairs(log.rows()) == [(2, b"k", b"3"), (3, b"z", b"1")]
    log.state.producers.expire(older_than_ms=START_MS + 1)
    log.append([(b"y", b"1")])
    log.roll()
    log.compact()
    assert [h.producer_id for h, _ in log.batches()] == [-1, -1, -1]


def test_last_batch_of_a_pass_stays_even_if_it_is_empty() -> None:
    """Or the log would seem to end earlier than it did, and offsets would be given twice."""
    log = CompactedLog(delete_retention_ms="0")
    log.append([(b"k", None)])
    log.roll()
    log.compact()
    log.now_ms += 1
    log.compact()
    assert [(h.base_offset, h.records_count) for h, _ in log.batches()] == [(0, 0)]


def test_aborted_records_go_and_the_marker_outlives_them() -> None:
    log = CompactedLog(delete_retention_ms="1000")
    log.append([(b"a", b"aborted"), (b"b", b"aborted")], producer_id=7, is_transactional=True)
    log.append([(b"a", b"plain")])
    log.end(7, is_commit=False)
    log.append([(b"a", b"committed")], producer_id=7, is_transactional=True)
    log.end(7, is_commit=True)
    log.append([(b"z", b"1")])
    log.roll()
    log.compact()
    assert pairs(log.committed()) == [(4, b"a", b"committed"), (6, b"z", b"1")]
    assert pairs(log.rows()) == pairs(log.committed())
    assert list(log.state.transactions.aborted) == [AbortedTransaction(7, 0, 3, 4)]
    assert [h.is_control for h, _ in log.batches()] == [True, False, True, False]
    for _ in range(2):
        # Nothing of the aborted transaction was met this time: its marker gets a horizon, and goes when that has passed.
        log.now_ms += 1000
        log.compact()
    assert list(log.state.transactions.aborted) == []
    assert pairs(log.committed()) == [(4, b"a", b"committed"), (6, b"z", b"1")]
    assert [h.base_offset for h, _ in log.batches()] == [4, 5, 6]


def test_open_transaction_holds_compaction_back() -> None:
    log = CompactedLog()
    log.append([(b"a", b"1")])
    log.roll()
    log.append([(b"a", b"2")], producer_id=7, is_transactional=True)
    log.append([(b"a", b"3")])
    log.roll()
    log.compact()
    assert pairs(log.rows()) == [(0, b"a", b"1"), (1, b"a", b"2"), (2, b"a", b"3")]
    log.end(7, is_commit=True)
    log.roll()
    log.compact()
    assert pairs(log.rows()) == [(2, b"a", b"3")]


def test_small_map_cleans_as_far_as_it_reaches_and_goes_on_next_time() -> None:
    log = CompactedLog(map_entries=2)
    for n in range(3):
        log.append([(b"%d" % key, b"%d" % n) for key in range(4)])
        log.roll()
    ends = []
    while log.checkpoint != 12:
        log.compact()
        ends.append(log.checkpoint)
    assert ends == sorted(set(ends))
    assert len(ends) > 3
    assert pairs(log.rows()) == [(8 + key, b"%d" % key, b"2") for key in range(4)]


def test_records_without_a_key_are_dropped_and_counted() -> None:
    log = CompactedLog()
    log.append([(None, b"stray"), (b"k", b"1")])
    log.roll()
    assert log.compact().records_without_key == 1
    assert pairs(log.rows()) == [(1, b"k", b"1")]


def test_small_segments_become_one() -> None:
    log = CompactedLog()
    for n in range(6):
        log.append([(b"k", b"%d" % n)])
        log.roll()
    log.compact()
    assert [s.base_offset for s in log.log.segments()] == [0, 6]
    assert pairs(log.rows()) == [(5, b"k", b"5")]


def test_corrupt_batch_ends_the_pass_and_nothing_is_changed() -> None:
    log = CompactedLog()
    batch = bytearray(written().batches()[0][1])
    batch[-1] ^= 1
    log.append_bytes(bytes(batch))
    log.roll()
    before = log.batches()
    with pytest.raises(CorruptRecords, match="CRC"):
        log.compact()
    assert log.batches() == before


# ------------------------------------------------------------------------------------------------------ against a model

KEYS = st.sampled_from([b"a", b"b", b"c", b"a key that is longer than a digest"])
VALUES = st.one_of(st.none(), st.binary(max_size=3))


class Compaction(RuleBasedStateMachine):
    """Random writes, ends of transactions, rolls, passing time and compactions; the model keeps every record ever written."""

    def __init__(self) -> None:
        super().__init__()
        self.log = CompactedLog(map_entries=3, delete_retention_ms="1000")
        self.written: list[Row] = []
        self.producers: list[tuple[int, int]] = []
        self.decided: dict[int, bool] = {}
        self.first_cleaned: dict[int, int] = {}

    @rule(
        batch=st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=4),
        producer=st.sampled_from([-1, 1, 2, 3]),
        codec=st.sampled_from([Codec.NONE, Codec.LZ4]),
    )
    def write(self, batch: list[tuple[bytes | None, bytes | None]], producer: int, codec: Codec) -> None:
        is_transactional = producer in (1, 2)
        base = self.log.append(batch, producer_id=producer, is_transactional=is_transactional, codec=codec)
        for index, (key, value) in enumerate(batch):
            self.written.append(Row(base + index, self.log.now_ms + index, key, value))
            if is_transactional:
                self.producers.append((base + index, producer))
            else:
                self.decided[base + index] = True

    @rule(producer=st.sampled_from([1, 2]), is_commit=st.booleans())
    def end_transaction(self, producer: int, is_commit: bool) -> None:
        self.log.end(producer, is_commit=is_commit)
        for offset, owner in self.producers:
            if owner == producer:
                self.decided.setdefault(offset, is_commit)

    @rule()
    def roll(self) -> None:
        self.log.roll()

    @rule(ms=st.sampled_from([1, 400, 1000]))
    def wait(self, ms: int) -> None:
        self.log.now_ms += ms

    @rule()
    def compact(self) -> None:
        self.log.compact()
        for row in self.log.rows():
            if row.value is None and row.offset < (self.log.checkpoint or 0):
                self.first_cleaned.setdefault(row.offset, self.log.now_ms)

    @rule()
    def forget_idle_producers(self) -> None:
        self.log.state.producers.expire(older_than_ms=self.log.now_ms - 2000)

    def expected(self, start: int) -> list[Row]:
        """Of committed records: the newest of each key below the checkpoint, and all above it."""
        clean = self.log.checkpoint or 0
        newest: dict[bytes | None, int] = {}
        for row in self.written:
            if row.offset < clean and self.decided.get(row.offset):
                newest[row.key] = row.offset
        return [
            row
            for row in self.written
            if row.offset >= start
            and self.decided.get(row.offset) is not False
            and (row.offset >= clean or newest.get(row.key) == row.offset)
        ]

    @invariant()
    def every_reader_sees_the_newest_of_each_key(self) -> None:
        for start in range(0, self.log.log.end_offset + 1, 3):
            seen = {row.offset: row for row in self.log.committed(start)}
            expected = {row.offset: row for row in self.expected(start)}
            for offset, row in expected.items():
                if offset not in seen:
                    # Only a tombstone may be missing, and only delete.retention.ms after a pass first left it there.
                    assert row.value is None
                    assert self.log.now_ms >= self.first_cleaned[offset] + 1000
            for offset, row in seen.items():
                assert expected.get(offset) == row

    @invariant()
    def producers_are_rebuilt_from_what_is_left(self) -> None:
        for producer_id, entry in self.log.state.producers.entries.items():
            headers = [h for h, _ in self.log.batches() if h.producer_id == producer_id]
            assert headers, f"nothing is left of producer {producer_id}"
            if entry.batches:
                assert max(h.last_sequence for h in headers) == entry.batches[-1].last_sequence


TestCompaction = Compaction.TestCase
TestCompaction.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_the_time_of_a_tombstone_begins_when_it_removes_something() -> None:
    """The map is full within a batch: what lies behind has to be there for readers after the pass that gets to it."""
    log = CompactedLog(map_entries=3, delete_retention_ms="1000")
    log.append([(key, None) for key in (b"a", b"b", b"c", b"d")])
    log.roll()
    log.compact()
    log.now_ms += 1001
    log.compact()
    assert [row.key for row in log.rows()][-1:] == [b"d"]
    log.now_ms += 1001
    log.compact()
    log.compact()
    assert [row for row in log.rows() if row.value is None] == []


def test_the_model_finds_tombstones_that_are_dropped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: the horizon is taken for passed from the beginning."""
    kept = batch_cleaner.BatchCleaner._newest
    monkeypatch.setattr(batch_cleaner.BatchCleaner, "_newest", lambda self, rows, has_passed: kept(self, rows, True))
    machine = Compaction()
    machine.write([(b"a", b"1"), (b"a", None), (b"b", b"1")], -1, Codec.NONE)
    machine.roll()
    machine.compact()
    with pytest.raises((AssertionError, KeyError)):
        machine.every_reader_sees_the_newest_of_each_key()


@given(st.lists(st.tuples(KEYS, st.binary(max_size=2)), min_size=1, max_size=30), st.integers(1, 5))
def test_compacting_twice_changes_nothing_more(rows: list[tuple[bytes, bytes]], batch_size: int) -> None:
    log = CompactedLog()
    for at in range(0, len(rows), batch_size):
        log.append(list(rows[at : at + batch_size]))
    log.roll()
    log.compact()
    once = log.batches()
    log.checkpoint = 0
    log.compact()
    assert log.batches() == once
