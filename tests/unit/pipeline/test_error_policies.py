"""What happens to records that a stage cannot take: each policy on each kind of stage."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mainstem.api.connector import Backpressure, ConnectorSpec, Rejected
from mainstem.api.spec import PluginConfig
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.errors import PipelineError
from mainstem.pipeline.memory import MemorySink, empty_batch, memory_sink
from mainstem.pipeline.plan.aggregates import Sum
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.policies import Dlq, Retry, Skip, Stop


def fails_on(*bad: Any) -> Any:
    def function(value: Any) -> Any:
        if value in bad:
            raise ValueError(f"{value!r} is bad")
        return value

    return function


class Flaky:
    """Fails the first `times` calls for each value of `bad`."""

    def __init__(self, times: int, *bad: Any) -> None:
        self.left = dict.fromkeys(bad, times)
        self.calls = 0

    def __call__(self, value: Any) -> Any:
        self.calls += 1
        if self.left.get(value, 0) > 0:
            self.left[value] -= 1
            raise ConnectionError("not now")
        return value


def letters(world: Any, topic: str) -> list[tuple[bytes | None, bytes | None, dict[str, bytes]]]:
    log = world.topics.logs[TopicPartition(topic, 0)]
    return [(key, value, dict(headers)) for key, value, headers in zip(log.keys, log.values, log.headers, strict=True)]


async def test_skip_drops_counts_and_goes_on(world):
    world.fill("in", [b"1", b"x", b"3"])
    engine = world.engine(Pipeline("p").source("in").map(int, on_error=Skip()).map(str).sink("out"))
    await engine.open()
    await engine.run()
    await engine.close()
    assert world.topics.values("out") == [b"1", b"3"]
    assert engine.counters.stages["map"].skipped == 1
    assert world.topics.committed("p") == {TopicPartition("in", 0): 3}


async def test_a_policy_of_the_pipeline_is_for_all_of_its_stages(world):
    world.fill("in", [b"1", b"x", b"4"])
    plan = Pipeline("p", on_error=Skip()).source("in").map(int).filter(fails_on(4)).map(str).sink("out")
    await world.run(plan)
    assert world.topics.values("out") == [b"1"]


async def test_a_dead_letter_is_the_record_as_it_was_read_with_the_cause(world):
    world.fill("in", [b"1", b"x"], [b"y", b"4"], keys=[[b"k1", b"k2"], [b"k3", None]])
    plan = Pipeline("p").source("in").filter(lambda value: value != b"1").map(int, on_error=Dlq("dead")).map(str)
    await world.run(plan.sink("out"))
    assert world.topics.values("out") == [b"4"]
    found = letters(world, "dead")
    assert sorted((key, value) for key, value, _ in found) == [(b"k2", b"x"), (b"k3", b"y")]
    headers = next(headers for key, _, headers in found if key == b"k2")
    assert headers["mainstem.pipeline"] == b"p"
    assert headers["mainstem.error.stage"] == b"map"
    assert headers["mainstem.error.type"] == b"ValueError"
    assert headers["mainstem.error.message"] == b"invalid literal for int() with base 10: b'x'"
    assert headers["mainstem.error.attempts"] == b"1"
    assert (headers["mainstem.source.topic"], headers["mainstem.source.partition"]) == (b"in", b"0")
    assert headers["mainstem.source.offset"] == b"1"
    assert len({headers["mainstem.error.stack-hash"] for _, _, headers in found}) == 1, "one cause"


async def test_a_retry_that_succeeds_keeps_the_record_and_its_order(world):
    world.fill("in", [b"1", b"2", b"3"])
    flaky = Flaky(2, b"2")
    plan = Pipeline("p").source("in").map(flaky, on_error=Retry(3, backoff=1)).sink("out")
    await world.run(plan)
    assert world.topics.values("out") == [b"1", b"2", b"3"]
    assert flaky.calls == 5, "what came before the failure is not called again"


async def test_a_retry_that_fails_to_the_end_does_what_it_says_then(world):
    world.fill("in", [b"1", b"2"])
    plan = Pipeline("p").source("in").map(fails_on(b"2"), on_error=Retry(2, backoff=1, then=Dlq("dead"))).sink("out")
    await world.run(plan)
    assert world.topics.values("out") == [b"1"]
    assert letters(world, "dead")[0][2]["mainstem.error.attempts"] == b"3"
    stops = Pipeline("q").source("in").map(fails_on(b"2"), on_error=Retry(1, backoff=1)).sink("out2")
    with pytest.raises(PipelineError, match=r"pipeline q, stage map at split in-0, offset 1: ValueError: b'2' is bad"):
        await world.run(stops)
    assert world.topics.committed("q") == {}


async def test_records_that_cannot_be_decoded(world):
    world.fill("in", [b'{"n":1}', b"{", b'{"n":3}'])
    plan = Pipeline("p").source("in", value="json", on_error=Dlq("dead")).map(lambda value: value["n"]).map(str)
    await world.run(plan.sink("out"))
    assert world.topics.values("out") == [b"1", b"3"]
    assert [value for _, value, _ in letters(world, "dead")] == [b"{"]
    assert world.topics.committed("p") == {TopicPartition("in", 0): 3}


async def test_records_without_an_event_time(world):
    world.fill("in", [b'{"at":1}', b"{}", b'{"at":3}'])
    plan = Pipeline("p").source("in", value="json", timestamp="at", on_error=Skip()).sink("out", value="json")
    await world.run(plan)
    assert world.topics.values("out") == [b'{"at":1}', b'{"at":3}']


async def test_values_that_cannot_be_written(world):
    world.fill("in", [b"1", b"2", b"3"])
    plan = Pipeline("p").source("in").map(lambda value: {1} if value == b"2" else value.decode())
    await world.run(plan.sink("out", value="json", on_error=Dlq("dead")))
    assert world.topics.values("out") == [b'"1"', b'"3"']
    assert [value for _, value, _ in letters(world, "dead")] == [b"2"], "as it was read, not as it could not be written"


async def test_state_is_as_if_the_bad_record_had_never_come(world):
    values = [b'{"v":1}', b'{"v":2}', b'{"v":"x"}', b'{"v":4}']
    world.fill("in", values, keys=[[b"k"] * 4])
    plan = (
        Pipeline("p")
        .source("in", key="string", value="json")
        .aggregate(total=Sum("v"), on_error=Skip())
        .map(lambda result: str(result["total"]))
        .sink("out")
    )
    await world.run(plan)
    assert world.topics.values("out") == [b"1", b"3", b"7"]


async def test_an_async_function_is_tried_again_and_keeps_order(world):
    world.fill("in", [b"%d" % number for number in range(20)])
    left = {b"3": 2, b"7": 9}

    async def look_up(value: bytes) -> bytes:
        await asyncio.sleep(0)
        if left.get(value, 0) > 0:
            left[value] -= 1
            raise ConnectionError("not now")
        return value

    plan = Pipeline("p").source("in").map(look_up, max_in_flight=4, on_error=Retry(3, backoff=1, then=Skip()))
    await world.run(plan.sink("out"))
    assert world.topics.values("out") == [b"%d" % number for number in range(20) if number != 7]


async def test_unordered_results_keep_their_keys(world):
    world.fill("in", [b"0", b"1", b"2"], keys=[[b"k0", b"k1", b"k2"]])
    gate = asyncio.Event()

    async def slow_first(value: bytes) -> bytes:
        if value == b"0":
            await gate.wait()
        elif value == b"2":
            gate.set()
        return value

    await world.run(Pipeline("p").source("in").map(slow_first, ordered=False).sink("out"))
    log = world.topics.logs[TopicPartition("out", 0)]
    assert log.values[-1] == b"0"
    assert log.keys == [b"k" + (value or b"") for value in log.values]


class Refusing(MemorySink):
    async def write(self, batch: Any) -> Any:
        refused = [
            Rejected(row, "it is odd", is_retriable=True) for row, value in enumerate(batch.values) if int(value) % 2
        ]
        return refused or await super().write(batch)


def sink_of(make: Any) -> ConnectorSpec:
    return ConnectorSpec(name="sink", sink_config=PluginConfig, open_sink=lambda config, context: make())


async def test_what_a_sink_refuses_is_settled_and_the_rest_is_written(world):
    world.fill("in", [b"2", b"3", b"4", b"5"])
    out = empty_batch()
    plan = Pipeline("p").source("in").sink(connector=sink_of(lambda: Refusing(out)), on_error=Dlq("dead"))
    await world.run(plan)
    assert out.values == [b"2", b"4"]
    assert [value for _, value, _ in letters(world, "dead")] == [b"3", b"5"]


async def test_a_sink_under_pressure_gets_the_same_batch_again(world):
    world.fill("in", [b"1", b"2"])
    out = empty_batch()

    class Pressed(MemorySink):
        calls = 0

        async def write(self, batch: Any) -> Any:
            Pressed.calls += 1
            if Pressed.calls < 3:
                raise Backpressure("too fast", retry_after_ms=1)
            return await super().write(batch)

    await world.run(Pipeline("p").source("in").sink(connector=sink_of(lambda: Pressed(out))))
    assert out.values == [b"1", b"2"]
    assert Pressed.calls == 3


async def test_a_sink_that_breaks_is_tried_again_as_a_whole_and_never_skipped(world):
    world.fill("in", [b"1", b"2"])

    class Broken(MemorySink):
        async def write(self, batch: Any) -> Any:
            raise ConnectionError("gone")

    plan = Pipeline("p").source("in")
    broken = plan.sink(connector=sink_of(lambda: Broken(empty_batch())), on_error=Retry(2, backoff=1, then=Skip()))
    with pytest.raises(PipelineError, match=r"stage sink.*ConnectionError: gone"):
        await world.run(broken)
    assert world.topics.committed("p") == {}


def test_policies_are_checked_where_they_are_written():
    with pytest.raises(ValueError, match="does not try again"):
        Retry(0)
    assert Retry(3, backoff="1s").wait_ms(2) == 2_000
    assert Retry(99, backoff="1m").wait_ms(50) == 60_000
    plan = Pipeline("p").source("in")
    with pytest.raises(Exception, match="on_error is Stop"):
        plan.map(int, on_error="skip")  # type: ignore[arg-type]
    assert plan.map(int, on_error=Skip).steps[-1].on_error == Skip()  # type: ignore[arg-type]
    assert plan.map(int).steps[-1].on_error == Stop()


async def test_dead_letters_are_part_of_the_transaction(world):
    from mainstem.pipeline.engine.settings import RunSettings

    world.fill("in", [b"1", b"x"])
    plan = Pipeline("p").source("in").map(int, on_error=Dlq("dead")).map(str).sink(connector=memory_sink(empty_batch()))
    await world.run(plan, RunSettings(once=True, exactly_once=True, transactional_id="p-0"))
    assert [value for _, value, _ in letters(world, "dead")] == [b"x"]
