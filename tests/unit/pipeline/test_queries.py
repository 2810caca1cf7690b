"""State of a running worker, read from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from mainstem.app.faults_endpoint import HttpAnswer, HttpRequest
from mainstem.app.queries_endpoint import answer_queries
from mainstem.pipeline.engine.queries import Queries, UnknownStep
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.memory import empty_batch, memory_sink
from mainstem.pipeline.plan.aggregates import Count, Sum
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.windows import Session, Tumbling

SINK = memory_sink(empty_batch())


@pytest.fixture
def running(world: Any) -> Callable[[Any], Any]:
    @asynccontextmanager
    async def start(plan: Any) -> AsyncIterator[Queries]:
        import asyncio

        engine = world.engine(plan, RunSettings(engine=EngineSettings(max_wait_ms=0)))
        await engine.open()
        task = asyncio.create_task(engine.run())
        for _ in range(200):
            await asyncio.sleep(0)
        yield Queries(engine)
        engine.stop()
        await task
        await engine.close()

    return start


async def test_totals_by_key(world, running):
    world.fill("in", [b'{"v":1}', b'{"v":2}'], [b'{"v":5}'], keys=[[b"a", b"a"], [b"b"]])
    plan = Pipeline("p").source("in", key="string", value="json").aggregate(n=Count(), total=Sum("v"))
    async with running(plan.sink(connector=SINK)) as queries:
        assert [(one.step, one.section, one.tasks) for one in queries.steps()] == [("aggregate", "source", [0, 1])]
        (found,) = queries.entries("aggregate", keys=["a"])
        assert (found.task, found.value) == (0, {"key": "a", "n": 2, "total": 3})
        assert [one.key for one in queries.entries("aggregate")] == ["a", "b"]
        assert len(queries.entries("aggregate", limit=1)) == 1
        assert queries.entries("aggregate", keys=["z"]) == []
        with pytest.raises(UnknownStep):
            queries.entries("window")


async def test_windows_by_time(world, running):
    world.fill("in", [b"x"] * 4, keys=[["k"] * 4], timestamps=[[0, 12, 25, 26]])
    plan = Pipeline("p").source("in").window(Tumbling(10), grace=1_000).aggregate(n=Count())
    async with running(plan.sink(connector=SINK)) as queries:
        found = queries.entries("window", first_group=10, last_group=29)
        assert [(one.group, one.value["window_end"], one.value["n"]) for one in found] == [(10, 20, 1), (20, 30, 2)]


async def test_sessions_of_a_key(world, running):
    world.fill("in", [b"x"] * 3, keys=[["k"] * 3], timestamps=[[0, 5, 100]])
    plan = Pipeline("p").source("in").window(Session(10), grace=1_000).aggregate(n=Count())
    async with running(plan.sink(connector=SINK)) as queries:
        (found,) = queries.entries("window", keys=["k"])
        assert [session["n"] for session in found.value] == [2, 1]


def body(answer: HttpAnswer) -> Any:
    return msgspec.json.decode(answer.body)


async def test_over_http(world, running):
    world.fill("in", [b"1", b"2"], keys=[[b"a", b"b"]])
    async with running(Pipeline("p").source("in", key="string").to_table(name="latest")) as queries:

        def get(path: str, query: str = "", method: str = "GET") -> HttpAnswer:
            return answer_queries({"p": queries}, HttpRequest(method, path, {}, query=query))

        assert body(get("/pipelines"))[0]["pipeline"] == "p"
        assert body(get("/pipelines/p/state/latest", "key=b")) == [{"task": 0, "group": 0, "key": "b", "value": "Mg=="}]
        assert [one["key"] for one in body(get("/pipelines/p/state/latest", "limit=1"))] == ["a"]
        for path, query, status in (
            ("/pipelines/q", "", "404"),
            ("/pipelines/p/state/other", "", "404"),
            ("/pipelines/p/what", "", "404"),
            ("/pipelines/p/state/latest", "from=soon", "400"),
        ):
            answer = get(path, query)
            assert answer.status.startswith(status)
            assert body(answer)["error"]
        assert get("/pipelines", method="POST").status.startswith("405")
