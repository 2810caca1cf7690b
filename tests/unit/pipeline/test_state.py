"""State by key as people use it: running aggregates, typed state, timers, tables, joins, deduplication."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.errors import PipelineError, PlanError
from mainstem.pipeline.memory import empty_batch, memory_sink
from mainstem.pipeline.plan.aggregates import Count, Sum
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.steps import Every
from mainstem.pipeline.plan.windows import Tumbling


@dataclass
class Seen:
    times: int = 0
    values: list[int] = field(default_factory=list)


class Struct(msgspec.Struct):
    total: int = 0


def count_up(value: bytes, seen: Seen) -> tuple[int, int]:
    seen.times += 1
    seen.values.append(int(value))
    return seen.times, sum(seen.values)


async def test_a_running_total_goes_on_in_the_next_run(world):
    world.fill("in", [b'{"v":1}', b'{"v":2}'], keys=[[b"a", b"a"]])
    out = empty_batch()
    plan = Pipeline("p").source("in", key="string", value="json").aggregate(n=Count(), total=Sum("v"))
    plan = plan.sink(connector=memory_sink(out))
    await world.run(plan)
    world.topics.append(TopicPartition("in", 0), world.transport.fetched(TopicPartition("in", 0), 1, 1).batch)
    await world.run(plan)
    assert [(value["key"], value["n"], value["total"]) for value in out.values] == [
        ("a", 1, 1),
        ("a", 2, 3),
        ("a", 3, 5),
    ]


async def test_typed_state_comes_back_as_its_type(world):
    world.fill("in", [b"1", b"2"], keys=[[b"a", b"b"]])
    out = empty_batch()
    plan = Pipeline("p").source("in", key="string").stateful_map(count_up, Seen).sink(connector=memory_sink(out))
    await world.run(plan)
    world.fill("more", [])
    world.topics.append(TopicPartition("in", 0), world.transport.fetched(TopicPartition("in", 0), 0, 2).batch)
    await world.run(plan)
    assert out.values == [(1, 1), (1, 2), (2, 2), (2, 4)]


async def test_state_of_a_struct_may_grow_by_a_field_with_a_default(world):
    class Older(msgspec.Struct):
        total: int = 0

    class Newer(msgspec.Struct):
        total: int = 0
        count: int = 10

    def old(value: bytes, state: Older) -> int:
        state.total += int(value)
        return state.total

    def new(value: bytes, state: Newer) -> tuple[int, int]:
        state.total += int(value)
        state.count += 1
        return state.total, state.count

    world.fill("in", [b"5"], keys=[[b"a"]])
    out = empty_batch()
    sink = memory_sink(out)
    await world.run(Pipeline("p").source("in").stateful_map(old, Older).sink(connector=sink))
    world.topics.append(TopicPartition("in", 0), world.transport.fetched(TopicPartition("in", 0), 0, 1).batch)
    await world.run(Pipeline("p").source("in").stateful_map(new, Newer).sink(connector=sink))
    assert out.values == [5, (10, 11)]


async def test_state_that_no_longer_fits_says_so(world):
    class Changed(msgspec.Struct):
        total: str

    world.fill("in", [b"5"], keys=[[b"a"]])
    sink = memory_sink(empty_batch())
    await world.run(Pipeline("p").source("in").stateful_map(lambda v, s: 1, Struct).sink(connector=sink))
    plan = Pipeline("p").source("in").stateful_map(lambda v, s: 1, Changed).sink(connector=sink)
    with pytest.raises(PipelineError, match="the stored state of key b'a' does not fit its type any more"):
        await world.run(plan)


async def test_state_that_cannot_be_kept_says_so(world):
    world.fill("in", [b"5"], keys=[[b"a"]])
    plan = Pipeline("p").source("in").stateful_map(lambda v, s: s.update(x=object()), dict)
    with pytest.raises(
        PipelineError, match="step stateful_map: the state of key b'a' cannot be kept: object is no type"
    ):
        await world.run(plan.sink(connector=memory_sink(empty_batch())))
    assert world.topics.committed("p") == {}


async def test_event_timers_fire_when_the_watermark_comes_and_survive_a_restart(world):
    """A key that was silent for 10 ms of event time is told."""

    def watch(value: bytes, state: dict[str, Any], context: Any) -> Any:
        state["last"] = value.decode()
        context.set_timer(context.timestamp + 10)
        return None

    def silent(state: dict[str, Any], context: Any) -> Any:
        yield f"{context.key} silent since {state['last']} at {context.timestamp}"

    world.fill("in", [b"1", b"2", b"3"], keys=[["a", "b", "a"]], timestamps=[[0, 5, 8]])
    out = empty_batch()
    plan = (
        Pipeline("p")
        .source("in")
        .stateful_map(watch, dict, on_timer=silent)
        .filter(lambda value: value is not None)
        .sink(connector=memory_sink(out))
    )
    engine = world.engine(plan, RunSettings(engine=EngineSettings(max_wait_ms=0)))
    await engine.open()
    running = asyncio.create_task(engine.run())
    for _ in range(50):
        await asyncio.sleep(0)
    assert engine.counters.records_read == 3
    engine.stop()
    await running
    await engine.close()
    assert out.values == []
    world.topics.append(TopicPartition("in", 0), batch_at("c", 16))
    await world.run(plan)
    assert out.values[:1] == ["b silent since 2 at 15"], "before the end of the run fires the others"


def batch_at(key: str, time: int) -> Any:
    from mainstem.api.batch import Batch

    return Batch(keys=[key], values=[b"4"], timestamps=[time])


async def test_every_so_often_tells_what_has_changed(world):
    world.fill("in", [b"1"] * 6, keys=[["a", "b"] * 3])
    out = empty_batch()

    def tick(value: Any) -> Any:
        world.clock.time_ms += 500
        return value

    plan = Pipeline("p").source("in").map(tick).aggregate(n=Count(), emit=Every("1s"))
    await world.run(plan.sink(connector=memory_sink(out)), RunSettings(once=True, batch_records=1))
    told = [(value["key"], value["n"]) for value in out.values]
    assert told[-2:] == [("a", 3), ("b", 3)], "and what is left when the run ends"
    assert told == sorted(set(told), key=lambda one: (one[1], one[0])), "each change once"
    assert len(told) <= 6


async def test_a_stream_is_joined_with_what_a_table_has(world):
    world.fill("customers", [b'"Ann"', b'"Bob"', None], keys=[[b"a", b"b", b"b"]])
    world.fill("orders", [b"1", b"2", b"3"], keys=[[b"a", b"b", b"a"]])
    customers = Pipeline("p").table("customers", key="string", value="json")
    out = empty_batch()
    orders = Pipeline("p").source("orders", key="string", name="orders")
    plan = orders.join(customers, lambda order, name: (order, name), how="left").sink(connector=memory_sink(out))
    await world.run(plan, RunSettings(once=True, engine=EngineSettings(max_wait_ms=0)))
    assert out.values == [(b"1", "Ann"), (b"2", None), (b"3", "Ann")]


async def test_a_table_of_two_tables_follows_both(world):
    world.fill("a", [b"1", b"2", None], keys=[[b"k", b"l", b"k"]])
    world.fill("b", [b"10"], keys=[[b"k"]])
    one = Pipeline("p").table("a", name="one")
    two = Pipeline("p").table("b", name="two")
    out = empty_batch()
    joined = one.join(two, lambda left, right: (left, right), how="outer")
    await world.run(joined.changes().sink(connector=memory_sink(out)))
    last = dict(zip(out.keys, out.values, strict=True))
    assert last == {b"k": (None, b"10"), b"l": (b"2", None)}


async def test_topics_that_are_joined_need_equal_partition_counts(world):
    world.fill("customers", [], [])
    world.fill("orders", [], [], [])
    customers = Pipeline("p").table("customers")
    plan = Pipeline("p").source("orders", name="orders").join(customers, lambda order, name: order).sink("out")
    with pytest.raises(PlanError, match="topic orders has 3, topic customers has 2"):
        await world.run(plan)


async def test_unequal_topics_meet_behind_a_key(world):
    world.fill("customers", [b"Ann"], [b"Bob"], keys=[[b"a"], [b"b"]])
    world.fill("orders", [b"a1"], [b"b2"], [b"a3"])
    customers = Pipeline("p").table("customers", key="string")
    orders = Pipeline("p").source("orders", name="orders").key_by(lambda order: chr(order[0]))
    plan = orders.join(customers, lambda order, name: (order, name), how="left").sink("out", value="json")
    from mainstem.pipeline.engine.topology import cut
    from mainstem.pipeline.plan.check import check

    (graph,) = check([plan.map(str).sink("x")], world.catalog)
    topology = cut(graph, {"customers": 2, "orders": 3})
    assert [(section.name, section.tasks) for section in topology.sections] == [("orders", 3), ("key_by", 2)]
    (repartition,) = topology.repartitions.values()
    assert (repartition.partitions, repartition.writers) == (2, 3), "as many as the table that it is joined with"


async def test_deduplication_lasts_over_runs(world):
    world.fill("in", [b"x", b"x", b"y"], keys=[[b"k"] * 3], timestamps=[[0, 1, 2]])
    out = empty_batch()
    plan = Pipeline("p").source("in").deduplicate(by=bytes.decode, within="1h").sink(connector=memory_sink(out))
    await world.run(plan)
    world.topics.append(TopicPartition("in", 0), world.transport.fetched(TopicPartition("in", 0), 0, 3).batch)
    await world.run(plan)
    assert out.values == [b"x", b"y"]


async def test_two_windows_follow_each_other(world):
    """Results of the first are not late for the second, although they are older than the watermark."""
    times = list(range(0, 400, 5))
    world.fill("in", [b"1"] * len(times), keys=[["k"] * len(times)], timestamps=[times])
    out = empty_batch()
    plan = (
        Pipeline("p")
        .source("in")
        .window(Tumbling(20), grace=5)
        .aggregate(n=Count())
        .window(Tumbling(100))
        .aggregate(windows=Count(), records=Sum("n"))
        .sink(connector=memory_sink(out))
    )
    summary = await world.run(plan, RunSettings(once=True, batch_records=7))
    assert summary.late == 0
    assert [(one["window_start"], one["windows"], one["records"]) for one in out.values] == [
        (start, 5, 20) for start in range(0, 400, 100)
    ]


async def test_how_much_state_there_is_can_be_scraped(world):
    world.fill("in", [b"1"] * 3, keys=[["a", "b", "a"]])
    engine = world.engine(Pipeline("p").source("in").aggregate(n=Count()).sink(connector=memory_sink(empty_batch())))
    await engine.open()
    await engine.run()
    assert engine.counters.state_entries == {"aggregate": 2}
    await engine.close()
