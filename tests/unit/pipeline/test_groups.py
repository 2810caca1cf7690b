"""Several workers of one pipeline: partitions move between them, and a window says when it cannot share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.assemble import RunSettings
from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.errors import PipelineError
from mainstem.pipeline.memory import empty_batch, memory_sink
from mainstem.pipeline.plan.aggregates import Count
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.windows import Tumbling

ENDLESS = RunSettings(batch_records=4)


async def turns(count: int = 50) -> None:
    """Let everybody come to the loop that often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def finish(engine: Engine, task: asyncio.Task[Any]) -> Any:
    engine.stop()
    try:
        return await task
    finally:
        await engine.close()


async def test_two_workers_share_the_partitions_of_a_plan_without_window(world):
    world.fill("in", [b"1"] * 30, [b"2"] * 30)
    plan = Pipeline("p").source("in").sink("out")
    one, two = world.engine(plan, ENDLESS), world.engine(plan, ENDLESS)
    await one.open()
    await two.open()
    tasks = [asyncio.create_task(one.run()), asyncio.create_task(two.run())]
    await turns()
    summaries = [await finish(engine, task) for engine, task in zip((one, two), tasks, strict=True)]
    assert sum(summary.records_read for summary in summaries) == 60
    assert all(summary.records_read > 0 for summary in summaries)
    assert sorted(world.topics.values("out")) == [b"1"] * 30 + [b"2"] * 30
    assert world.topics.committed("p") == {TopicPartition("in", 0): 30, TopicPartition("in", 1): 30}


async def test_a_worker_that_comes_later_continues_where_the_first_was(world):
    """What is revoked is committed first, so nothing is read twice."""
    world.fill("in", [b"%d" % n for n in range(200)], [b"%d" % n for n in range(200, 400)])
    plan = Pipeline("p").source("in").sink("out")
    one, two = world.engine(plan, ENDLESS), world.engine(plan, ENDLESS)
    await one.open()
    first = asyncio.create_task(one.run())
    await turns(20)
    assert 0 < one.counters.records_read < 400
    await two.open()
    second = asyncio.create_task(two.run())
    await turns(300)
    await finish(one, first)
    await finish(two, second)
    assert two.counters.records_read > 0
    assert sorted(map(int, world.topics.values("out"))) == list(range(400))


def windowed(out: Any) -> Pipeline[Any]:
    return (
        Pipeline("w")
        .source("in")
        .key_by(lambda value: "all")
        .window(Tumbling(10), grace=100)
        .aggregate(n=Count())
        .sink(connector=memory_sink(out))
    )


def fill_windows(world: Any) -> None:
    """Both partitions have a record of each millisecond."""
    times = list(range(200))
    world.fill("in", [b"x"] * 200, [b"x"] * 200, timestamps=[times, times])


async def test_a_second_worker_of_a_window_is_refused_and_the_first_goes_on_whole(world):
    fill_windows(world)
    out = empty_batch()
    one, two = world.engine(windowed(out), ENDLESS), world.engine(windowed(out), ENDLESS)
    await one.open()
    first = asyncio.create_task(one.run())
    await turns(20)
    await two.open()
    with pytest.raises(PipelineError) as refusal:
        await two.run()
    assert str(refusal.value) == (
        "pipeline w, stage source: consumer group w has another member, which holds 1 of 2 partitions. A window needs "
        "all records of a key in one process: run one worker of this pipeline, or give this one another name"
    )
    await two.close()
    await turns(400)
    await finish(one, first)
    assert {value["window_start"]: value["n"] for value in out.values} == dict.fromkeys(range(0, 90, 10), 20)


async def test_a_worker_without_any_partition_stands_by(world):
    """With one partition the second worker of a window gets nothing, waits, and takes over when the first is gone."""
    world.fill("in", [b"x"] * 200, timestamps=[list(range(200))])
    out = empty_batch()
    one, two = world.engine(windowed(out), ENDLESS), world.engine(windowed(out), ENDLESS)
    await one.open()
    first = asyncio.create_task(one.run())
    await two.open()
    second = asyncio.create_task(two.run())
    await turns(30)
    assert two.counters.records_read == 0
    assert one.counters.records_read < 200
    await finish(one, first)
    await turns(200)
    await finish(two, second)
    assert two.counters.records_read > 0
    assert {value["window_start"]: value["n"] for value in out.values} == dict.fromkeys(range(0, 90, 10), 10)


async def test_lost_partitions_are_dropped_without_a_commit(world):
    """`lost` comes when the group has gone on without this member: committing would be refused, or would harm."""
    world.fill("in", [b"x"] * 200, timestamps=[list(range(200))])
    out = empty_batch()
    engine = world.engine(windowed(out), ENDLESS)
    await engine.open()
    task = asyncio.create_task(engine.run())
    await turns(30)
    before = dict(world.topics.committed("w"))
    await engine._input.lost([TopicPartition("in", 0)])
    assert engine._positions == {}
    assert engine._window.first_epochs() == set()
    assert world.topics.committed("w") == before
    await finish(engine, task)
