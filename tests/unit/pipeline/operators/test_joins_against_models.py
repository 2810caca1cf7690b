"""Every join of streams, and deduplication, against a model that sees all records at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pipeline.operators.driving import Out, Record, drive

from mainstem.pipeline.plan.steps import LEFT, RIGHT, AsOfJoin, Deduplicate, IntervalJoin, WindowJoin
from mainstem.pipeline.plan.windows import Hopping, Tumbling

# Values are numbers that tell records apart.
ONE = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 80), st.sampled_from([LEFT, RIGHT]))
RECORDS = st.lists(ONE, max_size=20).map(
    lambda found: [Record(key, number, time, port) for number, (key, time, port) in enumerate(found)]
)
CUTS = st.lists(st.integers(1, 19), max_size=8)
CRASHES = st.lists(st.booleans(), max_size=20)
KINDS = st.sampled_from(["inner", "left", "outer"])
PORTS = (LEFT, RIGHT)


def pair(left: Any, right: Any) -> list[Any]:
    return [left, right]


def taken(records: Sequence[Record], is_late: Callable[[int, int], bool]) -> tuple[list[Record], list[tuple[Any, ...]]]:
    """Those that are not late, and those that are. The watermark is the least of both sides."""
    newest = dict.fromkeys(PORTS, -1 << 62)
    good: list[Record] = []
    late = []
    for record in records:
        if is_late(record.time, min(newest.values())):
            late.append((record.key, record.value, record.time))
        else:
            good.append(record)
        newest[record.port] = max(newest[record.port], record.time)
    return good, late


def found(out: Sequence[Out]) -> Counter[tuple[Any, ...]]:
    return Counter((one.key, *one.value, one.time) for one in out)


def pairs_model(
    good: Sequence[Record], matches: Callable[[Record, Record], int], kind: str
) -> Counter[tuple[Any, ...]]:
    """`matches` says how many times two records are a pair."""
    lefts = [one for one in good if one.port == LEFT]
    rights = [one for one in good if one.port == RIGHT]
    made: Counter[tuple[Any, ...]] = Counter()
    matched = set()
    for left in lefts:
        for right in rights:
            count = matches(left, right) if left.key == right.key else 0
            if count:
                made[left.key, left.value, right.value, max(left.time, right.time)] += count
                matched |= {left.value, right.value}
    if kind in ("left", "outer"):
        made.update((one.key, one.value, None, one.time) for one in lefts if one.value not in matched)
    if kind == "outer":
        made.update((one.key, None, one.value, one.time) for one in rights if one.value not in matched)
    return made


@given(RECORDS, CUTS, CRASHES, KINDS, st.integers(0, 20), st.integers(0, 20), st.integers(0, 40))
def test_interval(records, cuts, crashes, kind, before, after, grace):
    step = IntervalJoin(name="join", function=pair, kind=kind, before_ms=before, after_ms=after, grace_ms=grace)
    driven = drive(step, records, cuts, crashes, ports=PORTS)
    good, late = taken(records, lambda time, watermark: time + grace < watermark)
    expected = pairs_model(good, lambda left, right: -before <= right.time - left.time <= after, kind)
    assert found(driven.out) == expected
    assert [tuple(one) for one in driven.late] == late
    assert not list(driven.store.items()), "nothing is kept that can match nothing"


@given(RECORDS, CUTS, CRASHES, KINDS, st.integers(1, 30), st.integers(1, 3), st.integers(0, 40))
def test_window(records, cuts, crashes, kind, hop, times, grace):
    window: Any = Tumbling(hop) if times == 1 else Hopping(hop * times, hop=hop)
    step = WindowJoin(name="join", window=window, function=pair, kind=kind, grace_ms=grace)
    driven = drive(step, records, cuts, crashes, ports=PORTS)
    good, late = taken(records, lambda time, watermark: time + grace < watermark)

    def in_common(left: Record, right: Record) -> int:
        return len(set(window.starts_of(left.time)) & set(window.starts_of(right.time)))

    assert found(driven.out) == pairs_model(good, in_common, kind)
    assert [tuple(one) for one in driven.late] == late
    assert not list(driven.store.items())


@given(RECORDS, CUTS, CRASHES, st.sampled_from(["inner", "left"]), st.integers(0, 30), st.integers(0, 40))
def test_as_of(records, cuts, crashes, kind, within, grace):
    step = AsOfJoin(name="join", function=pair, kind=kind, within_ms=within, grace_ms=grace)
    driven = drive(step, records, cuts, crashes, ports=PORTS)
    good, late = taken(records, lambda time, watermark: time + 1 + grace <= watermark)
    expected: Counter[tuple[Any, ...]] = Counter()
    for left in (one for one in good if one.port == LEFT):
        older = [
            one
            for one in good
            if one.port == RIGHT and one.key == left.key and left.time - within <= one.time <= left.time
        ]
        newest = max(enumerate(older), key=lambda one: (one[1].time, one[0]), default=None)
        if newest is not None or kind == "left":
            expected[left.key, left.value, newest and newest[1].value, left.time] += 1
    assert found(driven.out) == expected
    assert [tuple(one) for one in driven.late] == late
    assert not list(driven.store.items())


@given(
    st.lists(
        st.builds(Record, st.sampled_from(["a", "b"]), st.integers(0, 3), st.integers(0, 100), st.just("")), max_size=25
    ),
    CUTS,
    CRASHES,
    st.integers(1, 60),
)
def test_deduplication(records, cuts, crashes, within):
    """Records are out of order by less than the horizon, as it must be for anything to be told apart."""
    ordered = sorted(records, key=lambda one: one.time + hash((one.value, one.time)) % within)
    step = Deduplicate(name="deduplicate", selector=int, within_ms=within)
    driven = drive(step, ordered, cuts, crashes)
    passed: list[Record] = []
    for record in ordered:
        same = [one for one in passed if (one.key, one.value) == (record.key, record.value)]
        if all(abs(one.time - record.time) >= within for one in same):
            passed.append(record)
    assert [tuple(one) for one in driven.out] == [(one.key, one.value, one.time) for one in passed]
