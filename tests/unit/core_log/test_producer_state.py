from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.log.producer_state import BATCHES_KEPT, KeptBatch, ProducerStates
from mainstem.model.batch import BatchHeader
from mainstem.model.errors import ErrorCode

LAST_SEQUENCE = 2**31 - 1


def header(sequence: int, count: int = 1, *, epoch: int = 0, producer_id: int = 7) -> BatchHeader:
    return BatchHeader(0, 100, 0, 2, 0, 0, count - 1, 1000, 1000, producer_id, epoch, sequence, count)


def states_after(*sequences: int) -> ProducerStates:
    states = ProducerStates()
    for offset, sequence in enumerate(sequences):
        assert states.check(header(sequence)) is ErrorCode.NONE
        states.apply(header(sequence), offset, now_ms=50)
    return states


def test_unknown_producer_may_start_anywhere() -> None:
    assert ProducerStates().check(header(500)) is ErrorCode.NONE


def test_next_sequence_is_accepted_and_a_gap_refused() -> None:
    states = states_after(0, 1)
    assert states.check(header(2)) is ErrorCode.NONE
    assert states.check(header(4)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_each_of_the_last_five_batches_is_recognised_as_a_duplicate() -> None:
    states = states_after(*range(8))
    for sequence in range(8 - BATCHES_KEPT, 8):
        kept = states.check(header(sequence))
        assert isinstance(kept, KeptBatch)
        assert kept.first_offset == sequence
    assert states.check(header(2)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_same_first_sequence_with_another_length_is_no_duplicate() -> None:
    assert states_after(0).check(header(0, count=2)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_older_epoch_is_fenced_and_newer_one_starts_at_zero() -> None:
    states = ProducerStates()
    states.apply(header(0, epoch=3), 0, now_ms=50)
    assert states.check(header(1, epoch=2)) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert states.check(header(1, epoch=4)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert states.check(header(0, epoch=4)) is ErrorCode.NONE
    states.apply(header(0, epoch=4), 1, now_ms=50)
    assert states.check(header(1, epoch=4)) is ErrorCode.NONE


def test_sequence_wraps_to_zero() -> None:
    states = states_after(LAST_SEQUENCE)
    assert states.check(header(0)) is ErrorCode.NONE


def test_sequence_wraps_inside_a_batch() -> None:
    states = ProducerStates()
    states.apply(header(LAST_SEQUENCE, count=3), 0, now_ms=50)
    assert states.check(header(2)) is ErrorCode.NONE


def test_expired_producer_is_forgotten() -> None:
    states = states_after(0, 1)
    states.expire(older_than_ms=50)
    assert 7 in states.entries
    states.expire(older_than_ms=51)
    assert states.entries == {}


@given(
    st.dictionaries(
        st.integers(0, 2**40),
        st.tuples(st.integers(0, 100), st.integers(0, LAST_SEQUENCE), st.integers(1, 1000), st.integers(0, 2**40)),
        max_size=5,
    )
)
def test_snapshot_restores_the_last_batch_of_every_producer(producers: dict[int, tuple[int, int, int, int]]) -> None:
    states = ProducerStates()
    for producer_id, (epoch, sequence, count, offset) in producers.items():
        states.apply(header(sequence, count, epoch=epoch, producer_id=producer_id), offset, now_ms=77)
    restored = ProducerStates.decode_snapshot(states.encode_snapshot())
    assert restored is not None
    for producer_id, entry in states.entries.items():
        assert restored.entries[producer_id].epoch == entry.epoch
        assert restored.entries[producer_id].batches == entry.batches[-1:]


@given(st.binary(max_size=80), st.integers(0, 79))
def test_damaged_snapshot_is_refused(garbage: bytes, place: int) -> None:
    content = bytearray(states_after(0, 1, 2).encode_snapshot())
    content[place % len(content)] ^= 0x55
    assert ProducerStates.decode_snapshot(bytes(content)) is None
    assert ProducerStates.decode_snapshot(content[:-1]) is None
    ProducerStates.decode_snapshot(garbage)
