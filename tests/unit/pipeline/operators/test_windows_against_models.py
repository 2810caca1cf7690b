"""Every kind of window against a model that sees one record at a time and computes everything anew.

However records are cut into batches, and wherever the process crashes between them, results and late records are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pipeline.operators.driving import Out, Record, drive

from mainstem.pipeline.plan.aggregates import Collect, Count, CountDistinct, First, Last, Max, Mean, Min, Sum, TopK
from mainstem.pipeline.plan.steps import Window
from mainstem.pipeline.plan.windows import CountWindow, Hopping, Session, Sliding, Tumbling

RECORDS = st.lists(
    st.builds(Record, st.sampled_from(["a", "b"]), st.integers(-5, 5), st.integers(0, 120), st.just("")), max_size=25
)
CUTS = st.lists(st.integers(1, 24), max_size=8)
CRASHES = st.lists(st.booleans(), max_size=25)
AGGREGATES = {"n": Count(), "total": Sum(int)}


def window(kind: Any, *, grace: int = 0, emit: Any = "final", aggregates: Any = None) -> Window:
    return Window(
        name="window",
        window=kind,
        grace_ms=grace,
        idle_after_ms=10**9,
        key_fields=("key",),
        aggregates=AGGREGATES if aggregates is None else aggregates,
        emit=emit,
    )


def result(key: str, start: int, end: int, values: Sequence[int]) -> tuple[Any, ...]:
    return key, start, end, len(values), sum(values)


def found(out: Sequence[Out]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (one.key, one.value["window_start"], one.value["window_end"], one.value["n"], one.value["total"]) for one in out
    )


Taken = tuple[Counter[tuple[Any, ...]], list[tuple[Any, ...]]]


def fixed_model(records: Sequence[Record], starts_of: Callable[[int], Sequence[int]], size: int, grace: int) -> Taken:
    watermark = -1 << 62
    held: dict[tuple[str, int], list[int]] = {}
    late = []
    for record in records:
        still_open = [start for start in starts_of(record.time) if start + size + grace > watermark]
        if not still_open:
            late.append((record.key, record.value, record.time))
        for start in still_open:
            held.setdefault((record.key, start), []).append(record.value)
        watermark = max(watermark, record.time)
    return Counter(result(key, start, start + size, values) for (key, start), values in held.items()), late


@given(RECORDS, CUTS, CRASHES, st.integers(1, 50), st.integers(0, 30), st.integers(0, 60))
def test_tumbling(records, cuts, crashes, size, offset, grace):
    driven = drive(window(Tumbling(size, offset=offset), grace=grace), records, cuts, crashes)
    moved = offset % size
    expected, late = fixed_model(records, lambda time: [time - (time - moved) % size], size, grace)
    assert found(driven.out) == expected
    assert [tuple(one) for one in driven.late] == late
    assert not list(driven.store.items()), "nothing is left of windows that are closed"


@given(RECORDS, CUTS, CRASHES, st.integers(1, 12), st.integers(1, 5), st.integers(0, 60))
def test_hopping(records, cuts, crashes, hop, times, grace):
    size = hop * times
    driven = drive(window(Hopping(size, hop=hop), grace=grace), records, cuts, crashes)
    expected, late = fixed_model(
        records,
        lambda time: [start for start in range(-size, 130) if start % hop == 0 and start <= time < start + size],
        size,
        grace,
    )
    assert found(driven.out) == expected
    assert [tuple(one) for one in driven.late] == late


def components(times: Sequence[tuple[int, int]], gap: int) -> list[list[tuple[int, int]]]:
    """Records (time, value) of one key, cut where neighbours are a gap apart."""
    cut: list[list[tuple[int, int]]] = []
    for one in sorted(times):
        if cut and one[0] - cut[-1][-1][0] < gap:
            cut[-1].append(one)
        else:
            cut.append([one])
    return cut


def session_model(records: Sequence[Record], gap: int, grace: int) -> Taken:
    watermark = -1 << 62
    open_now: dict[str, list[tuple[int, int]]] = {}
    closed: list[tuple[Any, ...]] = []
    late = []

    def close(until: int) -> None:
        for key, held in open_now.items():
            kept: list[tuple[int, int]] = []
            for one in components(held, gap):
                if one[-1][0] + gap + grace <= until:
                    closed.append(result(key, one[0][0], one[-1][0] + gap, [value for _, value in one]))
                else:
                    kept += one
            open_now[key] = kept

    for record in records:
        close(watermark)
        held = [*open_now.get(record.key, []), (record.time, record.value)]
        mine = next(one for one in components(held, gap) if (record.time, record.value) in one)
        if mine[-1][0] + gap + grace <= watermark:
            late.append((record.key, record.value, record.time))
        else:
            open_now[record.key] = held
        watermark = max(watermark, record.time)
    close(1 << 62)
    return Counter(closed), late


@given(RECORDS, CUTS, CRASHES, st.integers(1, 40), st.integers(0, 60))
def test_session(records, cuts, crashes, gap, grace):
    driven = drive(window(Session(gap), grace=grace), records, cuts, crashes)
    expected, late = session_model(records, gap, grace)
    assert found(driven.out) == expected
    assert [tuple(one) for one in driven.late] == late
    assert not list(driven.store.items())


@given(RECORDS, CUTS, CRASHES, st.integers(1, 40), st.integers(0, 60))
def test_sliding(records, cuts, crashes, size, grace):
    driven = drive(window(Sliding(size), grace=grace), records, cuts, crashes)
    watermark = -1 << 62
    taken: list[Record] = []
    late = []
    for record in records:
        if record.time + 1 + grace <= watermark:
            late.append((record.key, record.value, record.time))
        else:
            taken.append(record)
        watermark = max(watermark, record.time)
    expected = Counter(
        {
            result(
                key, end - size, end, [one.value for one in taken if one.key == key and end - size <= one.time <= end]
            ): 1
            for key, end in {(one.key, one.time) for one in taken}
        }
    )
    assert found(driven.out) == expected
    assert [tuple(one) for one in driven.late] == late
    assert not list(driven.store.items())


@given(RECORDS, CUTS, CRASHES, st.integers(1, 6), st.integers(1, 6))
def test_count(records, cuts, crashes, size, hop):
    hop = min(hop, size)
    driven = drive(window(CountWindow(size, hop=hop)), records, cuts, crashes)
    expected: Counter[tuple[Any, ...]] = Counter()
    for key in ("a", "b"):
        mine = [one for one in records if one.key == key]
        for start in range(0, len(mine) - size + 1, hop):
            part = mine[start : start + size]
            times = [one.time for one in part]
            expected[result(key, min(times), max(times), [one.value for one in part])] += 1
    assert found(driven.out) == expected
    assert not driven.late


@given(
    RECORDS,
    CUTS,
    CRASHES,
    st.sampled_from([Tumbling(20), Hopping(20, hop=10), Session(15), Sliding(15), CountWindow(3, hop=2)]),
)
def test_updates_come_per_record_and_end_with_the_final_result(records, cuts, crashes, kind):
    """And they do not depend on how records were cut into batches."""
    driven = drive(window(kind, grace=10**6, emit="update"), records, cuts, crashes)
    one_by_one = drive(window(kind, grace=10**6, emit="update"), records, range(25), [])
    assert driven.out == one_by_one.out
    final = drive(window(kind, grace=10**6), records, cuts, crashes)
    last = {(one.key, one.value["window_start"], one.value["window_end"]): one.value for one in driven.out}
    assert all(value in [one.value for one in driven.out] for value in (one.value for one in final.out))
    if not isinstance(kind, Session | CountWindow):  # whose bounds change while they grow
        assert last == {(one.key, one.value["window_start"], one.value["window_end"]): one.value for one in final.out}


@given(RECORDS, CUTS, CRASHES)
def test_every_aggregate(records, cuts, crashes):
    aggregates = {
        "n": Count(),
        "total": Sum(int),
        "mean": Mean(int),
        "least": Min(int),
        "most": Max(int),
        "first": First(int),
        "last": Last(int),
        "all": Collect(int),
        "top": TopK(int, 2),
        "different": CountDistinct(int),
    }
    driven = drive(window(Tumbling(1_000), aggregates=aggregates), records, cuts, crashes)
    results = {one.key: one.value for one in driven.out}
    for key in {one.key for one in records}:
        mine = [one for one in records if one.key == key]
        values = [one.value for one in mine]
        assert results[key] == {
            "key": key,
            "window_start": 0,
            "window_end": 1_000,
            "n": len(values),
            "total": sum(values),
            "mean": sum(values) / len(values),
            "least": min(values),
            "most": max(values),
            "first": min(mine, key=lambda one: one.time).value,
            "last": max(reversed(mine), key=lambda one: one.time).value,
            "all": values,
            "top": sorted(values, reverse=True)[:2],
            "different": len(set(values)),
        }


@pytest.mark.parametrize("kind", [Tumbling(10), Session(10), Sliding(10), CountWindow(3)])
def test_a_value_that_cannot_be_added_names_its_place_and_changes_nothing(kind):
    from tests.unit.pipeline.operators.driving import Driven

    from mainstem.pipeline.errors import StageFailure

    driven = Driven(window(kind, aggregates={"total": Sum("v")}))
    driven.batch([Record("a", {"v": 1}, 1)])
    with pytest.raises(StageFailure) as failure:
        driven.batch([Record("a", {"v": 2}, 2), Record("a", {"v": "x"}, 3)])
    assert failure.value.index == 1
    assert driven.store.load(0, ["a"]) is not None
