"""The position of a partition by watermark, against a model that remembers everything."""

from __future__ import annotations

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from mainstem.faust.acks import PartitionAcks
from mainstem.faust.delivery import PartitionDelivery
from mainstem.faust.records import BatchEvent


@given(
    gaps=st.lists(st.integers(1, 4), min_size=1, max_size=40),
    data=st.data(),
)
def test_the_position_is_the_oldest_that_is_not_acknowledged(gaps: list[int], data: st.DataObject) -> None:
    offsets, at = [], 0
    for gap in gaps:  # compaction and control records leave holes
        at += gap
        offsets.append(at)
    acks = PartitionAcks()
    assert acks.position() is None
    first = data.draw(st.integers(0, len(offsets)))
    acks.delivered(offsets[:first], offsets[first] if first < len(offsets) else at + 3)
    acks.delivered(offsets[first:], at + 3)
    done: set[int] = set()
    for offset in data.draw(st.permutations(offsets)):
        assert acks.ack(offset)
        assert not acks.ack(offset), "twice counts once"
        done.add(offset)
        waiting = [one for one in offsets if one not in done]
        assert acks.position() == (waiting[0] if waiting else at + 3)
    assert acks.count == len(offsets)


def test_what_was_acknowledged_before_reading_began_anew_counts_for_nothing() -> None:
    delivery = PartitionDelivery(None, TP("t", 0), 1, BatchEvent, lambda: None)
    before = delivery.acks
    before.delivered([1, 2, 3], 4)
    before.ack(1)
    delivery.forget()
    assert delivery.acks.position() is None
    delivery.acks.delivered([1, 2, 3], 4)
    before.ack(2)
    assert delivery.acks.position() == 1
