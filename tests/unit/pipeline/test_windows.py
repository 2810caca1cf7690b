"""Windows over event time: what falls into which, when a result is final, and what is late."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.connector import ConnectorSpec
from mainstem.api.spec import PluginConfig
from mainstem.pipeline.engine.provenance import SourceOrigin
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.watermarks import BEGINNING, END, Watermarks
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.errors import PipelineError
from mainstem.pipeline.memory import MemorySource, empty_batch, memory_sink, memory_source
from mainstem.pipeline.plan.aggregates import Count, Max, Mean, Min, Sum
from mainstem.pipeline.plan.fields import event_times
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.windows import Tumbling, duration_ms, duration_text

DAY = 86_400_000


def values_at(*timed: tuple[int, object], keys: list[object] | None = None) -> Batch:
    return Batch(
        keys=keys or ["k"] * len(timed), values=[value for _, value in timed], timestamps=[time for time, _ in timed]
    )


async def windowed(world, source: ConnectorSpec, *, grace: int = 0, once: bool = True, **more: object) -> Batch:
    """Sums per key in windows of 10 ms."""
    out = empty_batch()
    plan = (
        Pipeline("w")
        .source(connector=source)
        .window(Tumbling(10), grace=grace)
        .aggregate(n=Count(), total=Sum(lambda value: value))
        .sink(connector=memory_sink(out))
    )
    world.summary = await world.run(plan, RunSettings(once=once, **more))
    return out


async def test_a_result_holds_the_key_the_window_and_the_aggregates(world):
    out = await windowed(world, memory_source(values_at((1, 5), (9, 7), (10, 1))))
    assert out.values == [
        {"key": "k", "window_start": 0, "window_end": 10, "n": 2, "total": 12},
        {"key": "k", "window_start": 10, "window_end": 20, "n": 1, "total": 1},
    ]
    assert out.keys == ["k", "k"]


async def test_a_result_is_as_old_as_the_newest_record_of_its_window(world):
    """Not as its end, which may lie in the future when a bounded source ends: brokers refuse records from there."""
    out = await windowed(world, memory_source(values_at((1, 5), (9, 7), (3, 1), (10, 1))))
    assert out.timestamps == [9, 10]


async def test_keys_by_fields_are_fields_of_the_result(world):
    rows = [{"origin": "JFK", "dest": "LAX", "delay": 5}, {"origin": "JFK", "dest": "SFO", "delay": 1}]
    out = empty_batch()
    plan = (
        Pipeline("w")
        .source(connector=memory_source(values_at((0, rows[0]), (0, rows[1]), (1, rows[0]))))
        .key_by("origin", "dest")
        .window(Tumbling("1s"))
        .aggregate(n=Count())
        .sink(connector=memory_sink(out))
    )
    await world.run(plan)
    assert out.keys == [("JFK", "LAX"), ("JFK", "SFO")]
    assert out.values == [
        {"origin": "JFK", "dest": "LAX", "window_start": 0, "window_end": 1000, "n": 2},
        {"origin": "JFK", "dest": "SFO", "window_start": 0, "window_end": 1000, "n": 1},
    ]


async def test_every_aggregate_over_a_field_leaves_out_none(world):
    rows = [{"v": 3}, {"v": None}, {"v": -1}, {"v": 4}]
    out = empty_batch()
    plan = (
        Pipeline("w")
        .source(connector=memory_source(values_at(*((0, row) for row in rows))))
        .key_by(lambda row: "all", field="who")
        .window(Tumbling("1s"))
        .aggregate(rows=Count(), values=Count("v"), total=Sum("v"), mean=Mean("v"), least=Min("v"), greatest=Max("v"))
        .sink(connector=memory_sink(out))
    )
    await world.run(plan)
    assert out.values == [
        {"who": "all", "window_start": 0, "window_end": 1000}
        | {"rows": 4, "values": 3, "total": 6, "mean": 2.0, "least": -1, "greatest": 4}
    ]


async def test_aggregates_over_nothing_are_none_and_counts_zero(world):
    out = empty_batch()
    plan = (
        Pipeline("w")
        .source(connector=memory_source(values_at((0, {"v": None}))))
        .window(Tumbling("1s"))
        .aggregate(n=Count("v"), total=Sum("v"), mean=Mean("v"), least=Min("v"), greatest=Max("v"))
        .sink(connector=memory_sink(out))
    )
    await world.run(plan)
    [result] = out.values
    assert [result[name] for name in ("n", "total", "mean", "least", "greatest")] == [0, None, None, None, None]


async def test_times_before_1970_fall_into_the_window_below(world):
    out = await windowed(world, memory_source(values_at((-1, 1), (-10, 4), (0, 2))))
    assert [(value["window_start"], value["total"]) for value in out.values] == [(-10, 5), (0, 2)]


async def test_a_record_after_its_window_was_closed_is_late_and_counted(world):
    out = await windowed(world, memory_source(values_at((5, 1), (10, 2), (4, 100), (11, 4))))
    assert [(value["window_start"], value["total"]) for value in out.values] == [(0, 1), (10, 6)]
    assert world.summary.late == 1


async def test_grace_keeps_a_window_open(world):
    out = await windowed(world, memory_source(values_at((5, 1), (14, 2), (4, 100), (15, 4), (3, 1000))), grace=5)
    assert [(value["window_start"], value["total"]) for value in out.values] == [(0, 101), (10, 6)]
    assert world.summary.late == 1


async def test_results_come_as_soon_as_the_watermark_passes_not_at_the_end(world):
    out = empty_batch()
    seen: list[int] = []

    def note(value: int) -> int:
        seen.append(len(out))
        return value

    plan = (
        Pipeline("w")
        .source(connector=memory_source(values_at((1, 1), (9, 1), (10, 1), (25, 1))))
        .map(note)
        .window(Tumbling(10))
        .aggregate(n=Count())
        .sink(connector=memory_sink(out))
    )
    await world.run(plan, RunSettings(batch_records=1))
    assert seen == [0, 0, 0, 1]


async def test_the_split_that_is_furthest_behind_holds_the_watermark(world):
    ahead = values_at(*((time, 1) for time in range(100)))
    behind = values_at(*((time // 10, 1) for time in range(100)))
    out = await windowed(world, memory_source({"a": ahead, "b": behind}), batch_records=10)
    assert world.summary.late == 0
    assert {value["window_start"]: value["n"] for value in out.values} == {
        0: 110, **dict.fromkeys(range(10, 100, 10), 10),
    }  # fmt: skip


async def test_filtered_records_move_the_watermark(world):
    out = empty_batch()
    plan = (
        Pipeline("w")
        .source(connector=memory_source(values_at((1, 1), (50, -1), (2, 2))))
        .filter(lambda value: value > 0)
        .window(Tumbling(10))
        .aggregate(total=Sum(lambda value: value))
        .sink(connector=memory_sink(out))
    )
    summary = await world.run(plan)
    assert [value["total"] for value in out.values] == [1]
    assert summary.late == 1


async def test_a_watermark_of_the_source_itself_decides(world):
    class Declaring(MemorySource):
        async def read(self, split, position, *, max_records, max_wait_ms) -> SourceBatch:
            read = await super().read(split, position, max_records=max_records, max_wait_ms=max_wait_ms)
            read.watermark_ms = read.batch.timestamps[-1] - 20
            return read

    held = {"m": values_at((5, 1), (25, 1), (4, 1), (31, 1), (6, 1))}
    source = ConnectorSpec(
        name="declaring",
        source_config=PluginConfig,
        open_source=lambda config, context: Declaring(held, is_bounded=True),
    )
    out = await windowed(world, source, batch_records=1)
    assert {value["window_start"]: value["n"] for value in out.values} == {0: 2, 20: 1, 30: 1}
    assert world.summary.late == 1


async def test_a_quiet_split_holds_windows_only_until_it_counts_as_idle(world):
    """Split b has one old record and then nothing; split a goes on."""
    held = {
        "a": Batch(keys=["k"] * 30, values=list(range(30)), timestamps=list(range(30))),
        "b": Batch(keys=["k"], values=[0], timestamps=[0]),
    }
    out = empty_batch()
    when_emitted: list[int] = []

    def tick(value: int) -> int:
        world.clock.time_ms += 1000
        if out.values and not when_emitted:
            when_emitted.append(world.clock.time_ms - began_ms)
        if value == 29:
            engine.stop()
        return value

    plan = (
        Pipeline("w")
        .source(connector=memory_source(held, is_bounded=False))
        .map(tick)
        .window(Tumbling(10), idle_after="15s")
        .aggregate(n=Count())
        .sink(connector=memory_sink(out))
    )
    began_ms = world.clock.time_ms
    engine = world.engine(plan, RunSettings(batch_records=1, engine=EngineSettings(max_wait_ms=0)))
    await engine.open()
    await engine.run()
    await engine.close()
    assert [(value["window_start"], value["n"]) for value in out.values] == [(0, 11), (10, 10)]
    assert 15_000 <= when_emitted[0] <= 20_000


async def test_an_aggregate_that_fails_names_the_field_the_value_and_the_place(world):
    world.fill("in", [b'{"v":1}', b'{"v":"x"}'], keys=[[b"k", b"k"]])
    plan = (
        Pipeline("w")
        .source("in", value="json")
        .window(Tumbling(10))
        .aggregate(total=Sum("v"))
        .sink("out", value="json")
    )
    with pytest.raises(PipelineError) as raised:
        await world.run(plan)
    assert str(raised.value).startswith("pipeline w, stage window at split in-0, offset 1: total of 'x': unsupported")


async def test_a_key_that_cannot_be_a_key_is_named(world):
    world.fill("in", [b"[1]"])
    plan = (
        Pipeline("w")
        .source("in", value="json")
        .key_by(lambda value: value)
        .window(Tumbling(10))
        .aggregate(n=Count())
        .sink("out", value="json")
    )
    with pytest.raises(PipelineError, match=r"split in-0, offset 0: the key \[1\] cannot be used"):
        await world.run(plan)


async def test_an_error_behind_a_window_names_the_window(world):
    plan = (
        Pipeline("w")
        .source(connector=memory_source(values_at((DAY + 1, 1))))
        .window(Tumbling("1d"))
        .aggregate(n=Count())
        .map(lambda result: result["m"])
        .sink("out", value="json")
    )
    with pytest.raises(PipelineError, match=r"pipeline w, stage map at window 1970-01-02T00:00:00Z: KeyError: 'm'"):
        await world.run(plan)


def expected_results(records: list[tuple[int, str, int]], size: int, grace: int) -> tuple[dict, int]:
    """The definition, one record at a time: sums of one split, and how many were late."""
    watermark, sums, late = -(10**9), defaultdict(int), 0
    for time, key, value in records:
        start = time // size * size
        if start + size + grace <= watermark:
            late += 1
        else:
            sums[start, key] += value
        watermark = max(watermark, time)
    return dict(sums), late


records = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("ab"), st.integers(1, 9)), max_size=40)


@given(records, st.integers(1, 20), st.integers(0, 15), st.integers(1, 12), st.booleans())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_results_do_not_depend_on_how_records_were_cut_into_batches(
    new_world, records, size, grace, batch_records, is_filtered
):
    """Against the definition, with filters before the window or none."""
    held = Batch(
        keys=[key for _, key, _ in records],
        values=[value for _, _, value in records],
        timestamps=[time for time, _, _ in records],
    )
    out = empty_batch()
    plan = Pipeline("w").source(connector=memory_source(held))
    if is_filtered:
        plan = plan.filter(lambda value: value != 3).flat_map(lambda value: [value] * (value % 3))
    plan = (
        plan.window(Tumbling(size), grace=grace)
        .aggregate(total=Sum(lambda value: value))
        .sink(connector=memory_sink(out))
    )
    summary = asyncio.run(new_world().run(plan, RunSettings(batch_records=batch_records)))
    if is_filtered:
        records = [(t, k, 0 if v == 3 else v * (v % 3)) for t, k, v in records]
    sums, late = expected_results(records, size, grace)
    got = {(value["window_start"], value["key"]): value["total"] for value in out.values}
    assert got == {where: total for where, total in sums.items() if total}
    assert len(out) == len(got)
    if not is_filtered:
        assert summary.late == late


# ------------------------------------------------------------------------------------------------------------ the parts


def test_watermarks_follow_the_slowest_active_split_and_never_go_back():
    marks = Watermarks()
    for split in "abc":
        marks.assign(split)
    marks.observe("a", 100)
    assert marks.advance() == BEGINNING
    marks.observe("b", 50)
    marks.observe("c", 70)
    assert marks.advance() == 50
    marks.mark_idle("b")
    assert marks.advance() == 70
    marks.observe("b", 60)
    assert marks.advance() == 70
    marks.finish("b")
    marks.finish("c")
    assert marks.advance() == 100
    marks.finish("a")
    assert marks.advance() == END


def test_when_every_split_is_idle_the_watermark_stays():
    marks = Watermarks()
    marks.assign("a")
    marks.observe("a", 7)
    marks.advance()
    marks.mark_idle("a")
    assert marks.advance() == 7


def test_a_new_split_does_not_pull_the_watermark_back():
    marks = Watermarks()
    marks.assign("a")
    marks.observe("a", 7)
    marks.advance()
    marks.assign("b")
    assert marks.advance() == 7


@pytest.mark.parametrize(
    ("text", "ms"),
    [("5ms", 5), ("90s", 90_000), ("1.5h", 5_400_000), (" 1 d ", DAY), ("2w", 14 * DAY), ("3m", 180_000), (7, 7)],
)
def test_durations(text, ms):
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "5", "d", "1 day", "-1s", "1,5h", -1, None, True, 1.5, "1e3s"])
def test_what_is_no_duration_says_how_one_is_written(text):
    with pytest.raises(ValueError, match="write a number and one of ms, s, m"):
        duration_ms(text)


@given(st.integers(0, 10**12))
def test_durations_are_written_as_they_are_read(ms):
    assert duration_ms(duration_text(ms)) == ms


@given(st.integers(1, 10**10), st.integers(0, 10**10), st.lists(st.integers(-(10**13), 10**13)))
def test_a_timestamp_lies_in_its_window(size, offset, timestamps):
    window = Tumbling(size, offset=offset)
    for timestamp, start in zip(timestamps, window.starts(timestamps), strict=True):
        assert start <= timestamp < start + size
        assert (start - offset) % size == 0


@pytest.mark.parametrize("size", [0, "0s", "soon"])
def test_a_window_needs_a_size(size):
    with pytest.raises(ValueError, match=r"window of|no duration"):
        Tumbling(size)


def test_event_times_are_milliseconds_datetimes_or_iso_text():
    east = datetime.timezone(datetime.timedelta(hours=2))
    times = [
        1_357_016_400_001,
        datetime.datetime(2013, 1, 1, 7, tzinfo=east),
        datetime.datetime(2013, 1, 1, 5),
        "2013-01-01T05:00:00Z",
        "2013-01-01 05:00:00.25",
    ]
    five = 1_357_016_400_000
    assert event_times("t", [{"t": time} for time in times]) == [five + 1, five, five, five, five + 250]


@pytest.mark.parametrize("value", ["yesterday", 1.5, None, True])
async def test_what_is_no_event_time_is_named_with_its_place(world, value):
    held = values_at((0, {"t": 1}), (0, {"t": value}))
    plan = Pipeline("w").source(connector=memory_source(held), timestamp="t").sink(connector=memory_sink(empty_batch()))
    with pytest.raises(PipelineError, match=r"stage source at split memory, offset 1: the event time cannot be read"):
        await world.run(plan)


def test_carrying_a_column_follows_filters_and_flat_maps():
    rng = random.Random(7)
    for _ in range(200):
        ids = list(range(rng.randrange(1, 12)))
        batch = Batch(keys=ids, values=ids, timestamps=ids)
        origin = SourceOrigin(SourceBatch(split="s", batch=batch, next_position=0, offsets=ids))
        current = ids
        for _ in range(rng.randrange(4)):
            if rng.random() < 0.5:
                mask = [rng.random() < 0.7 for _ in current]
                origin.filtered(mask)
                current = [one for one, kept in zip(current, mask, strict=True) if kept]
            else:
                counts = [rng.randrange(3) for _ in current]
                origin.expanded(counts)
                current = [one for one, count in zip(current, counts, strict=True) for _ in range(count)]
        assert origin.carry(ids) == current
        assert [origin.place(n) for n in range(len(current))] == [f"split s, offset {one}" for one in current]
