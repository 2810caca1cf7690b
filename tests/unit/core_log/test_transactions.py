"""Transactions in one log: against what Apache Kafka 4.1 wrote, and against a model that knows each transaction's end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.log.aborted import AbortedTransaction, AbortedTransactions, decode_index, encode_index
from mainstem.core.log.append import plan_append
from mainstem.core.log.producer_state import ProducerStates
from mainstem.core.log.state import LogState
from mainstem.core.log.transactions import Marker, build_marker, read_marker
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT, BatchHeader, iterate, read_header
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode

DATA = Path(__file__).resolve().parents[2] / "data"
GOLDEN = DATA / "kafka-4.1-log" / "golden-0"
OFFSETS = DATA / "kafka-4.1-consumer-offsets"
CONFIG = TopicConfig.resolve({}, BrokerConfig.from_texts({}))
NOW_MS = 1_700_000_000_000


def replayed(*logs: Path) -> LogState:
    """The state after all batches of these files, in their own time."""
    state = LogState()
    for log in logs:
        data = log.read_bytes()
        for position, header in iterate(data):
            if header.producer_id >= 0:
                batch = data[position : position + header.size]
                state.apply(header, batch, header.base_offset, header.max_timestamp)
    return state


GOLDEN_LOGS = [GOLDEN / "00000000000000000000.log", GOLDEN / "00000000000000000100.log"]


@pytest.mark.parametrize(
    ("logs", "index", "snapshot"),
    [
        (GOLDEN_LOGS, GOLDEN / "00000000000000000100.txnindex", GOLDEN / "00000000000000000117.snapshot"),
        ([OFFSETS / "49.log"], OFFSETS / "49.txnindex", OFFSETS / "49.snapshot"),
    ],
    ids=["golden-0", "__consumer_offsets-49"],
)
def test_batches_that_kafka_wrote_give_its_index_and_its_snapshot(
    logs: list[Path], index: Path, snapshot: Path
) -> None:
    state = replayed(*logs)
    assert list(state.transactions.aborted) == decode_index(index.read_bytes())
    assert encode_index(state.transactions.aborted) == index.read_bytes()
    assert state.producers.encode_snapshot() == snapshot.read_bytes()
    assert state.transactions.open == {}


def test_index_entry_is_the_one_that_kafka_prints() -> None:
    (entry,) = decode_index((GOLDEN / "00000000000000000100.txnindex").read_bytes())
    assert entry == AbortedTransaction(producer_id=1, first_offset=109, last_offset=112, last_stable_offset=113)


def test_marker_is_byte_for_byte_that_of_kafka() -> None:
    data = GOLDEN_LOGS[1].read_bytes()
    markers = [data[at : at + h.size] for at, h in iterate(data) if h.is_control]
    assert [read_marker(read_header(m), m) for m in markers] == [Marker(True, 0), Marker(False, 0), Marker(True, 0)]
    for marker in markers:
        h = read_header(marker)
        is_commit = read_marker(h, marker) == Marker(True, 0)
        ours = build_marker(h.producer_id, h.producer_epoch, h.max_timestamp, is_commit=is_commit, coordinator_epoch=0)
        # The offset and the leader epoch lie outside the CRC and are given by the log.
        assert ours[16:] == marker[16:]


def data_header(producer_id: int, count: int = 1, sequence: int = 0, epoch: int = 0) -> BatchHeader:
    return BatchHeader(0, 100, 0, 2, 0, TRANSACTIONAL_BIT, count - 1, 1000, 1000, producer_id, epoch, sequence, count)


def end(state: LogState, producer_id: int, offset: int, *, is_commit: bool, coordinator_epoch: int = 0) -> None:
    marker = build_marker(producer_id, 0, 1000, is_commit=is_commit, coordinator_epoch=coordinator_epoch)
    state.apply(read_header(marker), marker, offset, 1000)


def test_last_stable_offset_waits_for_the_marker_to_pass_the_high_watermark() -> None:
    state = LogState()
    assert state.transactions.last_stable_offset(7) == 7
    state.apply(data_header(7), b"", 0, 1000)
    state.apply(data_header(9), b"", 1, 1000)
    assert state.transactions.last_stable_offset(2) == 0
    end(state, 7, 2, is_commit=True)
    assert state.transactions.last_stable_offset(2) == 0
    assert state.transactions.last_stable_offset(3) == 1
    end(state, 9, 3, is_commit=False)
    state.transactions.advance(4)
    assert state.transactions.last_stable_offset(4) == 4
    assert list(state.transactions.aborted) == [AbortedTransaction(9, 1, 3, 4)]


def test_marker_without_records_ends_nothing() -> None:
    state = LogState()
    end(state, 7, 0, is_commit=False)
    assert list(state.transactions.aborted) == []
    assert state.transactions.last_stable_offset(1) == 1
    assert state.producers.entries[7].coordinator_epoch == 0


def test_open_transaction_survives_a_snapshot_and_is_not_expired() -> None:
    state = LogState()
    state.apply(data_header(7, 3), b"", 5, 1000)
    state.producers.expire(older_than_ms=10_000)
    restored = ProducerStates.decode_snapshot(state.producers.encode_snapshot())
    assert restored is not None
    again = LogState()
    again.load(restored, 8, [])
    assert again.transactions.last_stable_offset(8) == 5


def planned(state: LogState, batch: bytes, *, from_client: bool = False) -> ErrorCode:
    return plan_append(batch, 10, state.producers, CONFIG, NOW_MS, from_client=from_client).error


def test_zombies_are_fenced() -> None:
    state = LogState()
    state.apply(data_header(7, epoch=3), b"", 0, 1000)
    end_by_old = build_marker(7, 2, NOW_MS, is_commit=True, coordinator_epoch=5)
    assert planned(state, end_by_old) is ErrorCode.INVALID_PRODUCER_EPOCH
    marker = build_marker(7, 3, NOW_MS, is_commit=True, coordinator_epoch=5)
    assert planned(state, marker) is ErrorCode.NONE
    state.apply(read_header(marker), marker, 1, 1000)
    old_coordinator = build_marker(7, 3, NOW_MS, is_commit=True, coordinator_epoch=4)
    assert planned(state, old_coordinator) is ErrorCode.TRANSACTION_COORDINATOR_FENCED


def test_write_outside_the_open_transaction_is_refused() -> None:
    state = LogState()
    state.apply(data_header(7), b"", 0, 1000)
    plain = records.encode([None], [b"v"], [NOW_MS], producer_id=7, producer_epoch=0, base_sequence=1)
    assert planned(state, plain) is ErrorCode.INVALID_TXN_STATE


def test_transactional_batch_of_a_client_without_transactional_id_is_refused() -> None:
    batch = records.encode(
        [None], [b"v"], [NOW_MS], producer_id=7, producer_epoch=0, base_sequence=0, attributes=TRANSACTIONAL_BIT
    )
    assert planned(LogState(), batch, from_client=True) is ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


@pytest.mark.parametrize("cut", [1, 33, 35])
def test_damaged_index_is_refused(cut: int) -> None:
    content = encode_index([AbortedTransaction(1, 0, 3, 4), AbortedTransaction(1, 5, 9, 10)])
    with pytest.raises(ValueError, match="transaction index"):
        decode_index(content[:cut])
    with pytest.raises(ValueError, match="entry 1"):
        decode_index(content[:34] * 2)


# ------------------------------------------------------------------------------------------------- against a model


@dataclass
class Model:
    """One row per offset: its producer and how that producer's transaction ended (None: still open), by hindsight."""

    rows: list[tuple[int, str]] = field(default_factory=list)

    def ends_at(self, offset: int) -> tuple[int, str]:
        """(offset of the marker that decides the record at `offset`, its kind); (-1, "open") if there is none."""
        producer = self.rows[offset][0]
        for later in range(offset + 1, len(self.rows)):
            if self.rows[later][0] == producer and self.rows[later][1] != "data":
                return later, self.rows[later][1]
        return -1, "open"

    def stable(self, high_watermark: int) -> int:
        for offset in range(high_watermark):
            if self.rows[offset][1] == "data" and self.rows[offset][0] >= 0:
                marker, _ = self.ends_at(offset)
                if marker < 0 or marker >= high_watermark:
                    return offset
        return high_watermark

    def committed(self, start: int, stop: int) -> list[int]:
        return [
            o
            for o in range(start, stop)
            if self.rows[o][1] == "data" and (self.rows[o][0] < 0 or self.ends_at(o)[1] == "commit")
        ]


def seen_by_consumer(model: Model, start: int, stop: int, aborted: list[AbortedTransaction]) -> list[int]:
    """As Kafka's clients filter: an aborted transaction begins at its first offset and ends at its producer's marker."""
    waiting = sorted(aborted, key=lambda entry: entry.first_offset)
    skipped: set[int] = set()
    seen = []
    for offset in range(start, stop):
        producer, kind = model.rows[offset]
        while waiting and waiting[0].first_offset <= offset:
            skipped.add(waiting.pop(0).producer_id)
        if kind != "data":
            skipped.discard(producer)
        elif producer not in skipped:
            seen.append(offset)
    return seen


@given(
    st.lists(st.tuples(st.integers(-1, 3), st.sampled_from(["data", "data", "commit", "abort"])), max_size=40),
    st.data(),
)
def test_readers_see_what_was_committed_and_nothing_else(rows: list[tuple[int, str]], data: st.DataObject) -> None:
    model = Model([(p, k if p >= 0 else "data") for p, k in rows])
    state = LogState()
    reload_at = data.draw(st.integers(0, len(rows)))
    for offset, (producer, kind) in enumerate(model.rows):
        if offset == reload_at:
            restored = ProducerStates.decode_snapshot(state.producers.encode_snapshot())
            index = decode_index(encode_index(state.transactions.aborted))
            assert restored is not None
            state = LogState()
            state.load(restored, offset, index)
        if producer >= 0 and kind == "data":
            state.apply(data_header(producer), b"", offset, 1000)
        elif producer >= 0:
            end(state, producer, offset, is_commit=kind == "commit")
    end_offset = len(rows)
    high_watermark = data.draw(st.integers(reload_at, end_offset))
    stable = state.transactions.last_stable_offset(high_watermark)
    assert stable == model.stable(high_watermark)
    start = data.draw(st.integers(0, stable))
    stop = data.draw(st.integers(start, stable))
    aborted = state.transactions.aborted.overlapping(start, stop)
    assert seen_by_consumer(model, start, stop, aborted) == model.committed(start, stop)


@given(st.lists(st.integers(1, 5), max_size=20), st.integers(0, 60), st.integers(0, 60))
def test_truncated_index_has_the_markers_that_are_left(gaps: list[int], start: int, stop: int) -> None:
    entries, offset = [], 0
    for gap in gaps:
        entries.append(AbortedTransaction(1, offset, offset + gap, offset + gap + 1))
        offset += gap + 1
    aborted = AbortedTransactions(entries)
    assert aborted.between(start, stop) == [e for e in entries if start <= e.last_offset < stop]
    aborted.truncate_from_start(start)
    aborted.truncate_from_end(stop)
    assert list(aborted) == [e for e in entries if start <= e.last_offset < stop]
