"""Several workers of one pipeline: partitions and state move between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.engine.settings import RunSettings
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


async def test_two_workers_share_the_windows_of_one_plan(world):
    """Records of a key meet in one task, wherever they were read, and every window is told once and whole."""
    times = list(range(200))
    world.fill("in", [b"a", b"b"] * 100, [b"b", b"c"] * 100, timestamps=[times, times])
    out = empty_batch()
    plan = (
        Pipeline("w")
        .source("in")
        .key_by(lambda value: value.decode(), field="letter")
        .window(Tumbling(10), grace=100)
        .aggregate(n=Count())
        .sink(connector=memory_sink(out))
    )
    one, two = world.engine(plan, ENDLESS), world.engine(plan, ENDLESS)
    await one.open()
    first = asyncio.create_task(one.run())
    await turns(20)
    await two.open()
    second = asyncio.create_task(two.run())
    for _ in range(20):
        world.clock.time_ms += 200  # watermarks are told a few times a second
        await turns(50)
    assert two.counters.records_read > 0
    await finish(one, first)
    await finish(two, second)
    told = Counter((value["letter"], value["window_start"]) for value in out.values)
    assert set(told.values()) == {1}
    counts = {(value["letter"], value["window_start"]): value["n"] for value in out.values}
    wanted = {(letter, start): n for start in range(0, 90, 10) for letter, n in (("a", 5), ("b", 10), ("c", 5))}
    assert counts == wanted


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
    await turns(600)
    await finish(two, second)
    assert two.counters.records_read > 0
    assert {value["window_start"]: value["n"] for value in out.values} == dict.fromkeys(range(0, 90, 10), 10)


async def test_a_member_that_was_put_out_forgets_what_it_did(world):
    """Its commit comes too late; state and windows begin again from what was committed."""
    world.fill("in", [b"x"] * 200, timestamps=[list(range(200))])
    out = empty_batch()
    engine = world.engine(windowed(out), ENDLESS)
    await engine.open()
    task = asyncio.create_task(engine.run())
    await turns(30)
    assert 0 < engine.counters.records_read < 200
    world.transport.consumers[-1].evict()
    await turns(400)
    await finish(engine, task)
    told = Counter(value["window_start"] for value in out.values)
    assert {value["window_start"]: value["n"] for value in out.values} == dict.fromkeys(range(0, 90, 10), 10)
    assert max(told.values()) <= 2  # at least once: what was told before the commit failed is told again, whole
