from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.log.epochs import EpochStart, LeaderEpochs


def epochs(*pairs: tuple[int, int]) -> LeaderEpochs:
    return LeaderEpochs([EpochStart(*pair) for pair in pairs])


def test_new_epoch_is_noted_once() -> None:
    cache = LeaderEpochs()
    assert cache.assign(3, 10)
    assert not cache.assign(3, 20)
    assert cache.entries == [(3, 10)]


def test_entries_that_contradict_a_new_epoch_go() -> None:
    cache = epochs((0, 0), (2, 10), (5, 20))
    assert cache.assign(4, 15)
    assert cache.entries == [(0, 0), (2, 10), (4, 15)]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [(5, (5, 100)), (2, (2, 20)), (3, (2, 20)), (0, (0, 10)), (1, (0, 10)), (6, (-1, -1)), (-1, (-1, -1))],
)
def test_end_offset_of_an_epoch(asked: int, answer: tuple[int, int]) -> None:
    assert epochs((0, 0), (2, 10), (5, 20)).end_offset_for(asked, 100) == answer


def test_empty_cache_knows_no_epoch() -> None:
    assert LeaderEpochs().end_offset_for(0, 100) == (-1, -1)


def test_truncation_at_either_end() -> None:
    cache = epochs((0, 0), (2, 10), (5, 20))
    cache.truncate_from_start(15)
    assert cache.entries == [(2, 15), (5, 20)]
    cache.truncate_from_end(20)
    assert cache.entries == [(2, 15)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 500)), max_size=20))
def test_both_columns_always_grow(assignments: list[tuple[int, int]]) -> None:
    cache = LeaderEpochs()
    for epoch, offset in assignments:
        cache.assign(epoch, offset)
        for before, after in zip(cache.entries, cache.entries[1:], strict=False):
            assert before.epoch < after.epoch
            assert before.start_offset < after.start_offset
    assert LeaderEpochs.decode(cache.encode()).entries == cache.entries
