"""What goes in comes out: sources, stages and sinks together, on simulated topics."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorError, ConnectorSpec, Rejected
from mainstem.api.spec import PluginConfig
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.task import POSITIONS
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.errors import PipelineError
from mainstem.pipeline.memory import MemorySink, empty_batch, memory_sink, memory_source
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.steps import Plugin
from mainstem.pipeline.state.changelog import STAMP_BYTES
from mainstem.pipeline.state.encoding import StateCodec
from mainstem.pipeline.state.store import Place
from mainstem.testing.simulated_producer import SimulatedProducer


def batch(*values: object, keys: list[object] | None = None, timestamps: list[int] | None = None) -> Batch:
    return Batch(keys=keys or [None] * len(values), values=list(values), timestamps=timestamps or [0] * len(values))


async def test_map_filter_and_flat_map_follow_each_other(world):
    out = empty_batch()
    plan = (
        Pipeline("numbers")
        .source(connector=memory_source(batch(1, 2, 3, 4)))
        .map(lambda n: n * 10)
        .filter(lambda n: n != 20)
        .flat_map(range)
        .filter(lambda n: n % 10 == 0)
        .sink(connector=memory_sink(out))
    )
    summary = await world.run(plan)
    assert out.values == [0, 0, 10, 20, 0, 10, 20, 30]
    assert summary.records_read == 4
    assert summary.written == {"sink": 8}
    assert summary.is_finished


async def test_every_column_stays_with_its_record(world):
    source = Batch(
        keys=["a", "b", "c"],
        values=[1, 2, 3],
        timestamps=[10, 20, 30],
        headers=[(("h", b"1"),), (), (("h", b"3"),)],
    )
    out = empty_batch()
    await world.run(
        Pipeline("p")
        .source(connector=memory_source(source))
        .filter(lambda n: n != 2)
        .flat_map(lambda n: [n] * (n - 1))
        .sink(connector=memory_sink(out))
    )
    assert out == Batch(keys=["c", "c"], values=[3, 3], timestamps=[30, 30], headers=[(("h", b"3"),)] * 2)


async def test_batches_can_be_mapped_whole_also_asynchronously(world):
    async def double(one: Batch) -> Batch:
        return Batch(keys=one.keys, values=[v * 2 for v in one.values], timestamps=one.timestamps)

    out = empty_batch()
    await world.run(
        Pipeline("p")
        .source(connector=memory_source(batch(1, 2)))
        .map_batches(double)
        .map_batches(lambda one: one)
        .sink(connector=memory_sink(out))
    )
    assert out.values == [2, 4]


async def test_a_sink_in_the_middle_gets_what_is_there(world):
    middle, end = empty_batch(), empty_batch()
    await world.run(
        Pipeline("p")
        .source(connector=memory_source(batch(1, 2)))
        .sink(connector=memory_sink(middle))
        .map(lambda n: -n)
        .sink(connector=memory_sink(end))
    )
    assert (middle.values, end.values) == ([1, 2], [-1, -2])


async def test_topics_are_read_and_written_with_serializers(world):
    world.fill("orders", [b'{"id":1}', None, b'{"id":2}'], keys=[[b"a", b"b", None]], timestamps=[[5, 6, 7]])
    await world.run(
        Pipeline("copy")
        .source("orders", key="string", value="json")
        .map(lambda order: order and order["id"])
        .sink("ids", key="string", value="json")
    )
    log = world.topics.logs[TopicPartition("ids", 0)]
    assert log.values == [b"1", None, b"2"]
    assert log.keys == [b"a", b"b", None]
    assert log.timestamps == [5, 6, 7]


async def test_bytes_pass_through_and_text_is_utf8_without_serializers(world):
    world.fill("in", [b"\xff", b"a"], keys=[[b"\xfe", None]])
    await world.run(Pipeline("copy").source("in").key_by(lambda v: "ü").sink("out"))
    log = world.topics.logs[TopicPartition("out", 0)]
    assert log.values == [b"\xff", b"a"]
    assert log.keys == ["ü".encode()] * 2


async def test_records_of_one_key_meet_in_one_partition(world):
    values = [f"v{n}".encode() for n in range(100)]
    keys = [f"k{n % 7}".encode() for n in range(100)]
    world.fill("in", values, keys=[keys])
    await world.run(Pipeline("spread").source("in").sink("out", partitions=4))
    where: dict[bytes, set[int]] = {}
    for number in range(4):
        for key in world.topics.logs[TopicPartition("out", number)].keys:
            where.setdefault(key, set()).add(number)
    assert all(len(partitions) == 1 for partitions in where.values())
    assert len(set.union(*where.values())) > 1
    assert sorted(world.topics.values("out")) == sorted(values)


async def test_an_existing_sink_topic_keeps_its_partitions(world):
    world.topics.create("out", 3)
    world.fill("in", [b"1", b"2", b"3"])
    await world.run(Pipeline("p").source("in").sink("out", partitions=8, partitioner=Plugin("round-robin")))
    assert [len(world.topics.logs[TopicPartition("out", n)]) for n in range(3)] == [1, 1, 1]


async def test_several_topics_and_partitions_are_read_whole(world):
    world.fill("a", [b"1", b"2"], [b"3"])
    world.fill("b", [], [b"4"])
    await world.run(Pipeline("merge").source("a", "b").sink("out"))
    assert sorted(world.topics.values("out")) == [b"1", b"2", b"3", b"4"]


async def test_a_second_run_continues_where_the_first_ended(world):
    plan = Pipeline("p").source("in").sink("out")
    world.fill("in", [b"1", b"2"])
    assert (await world.run(plan)).records_read == 2
    world.fill("in", [b"3"])
    assert (await world.run(plan)).records_read == 1
    assert world.topics.values("out") == [b"1", b"2", b"3"]
    assert world.topics.committed("p") == {TopicPartition("in", 0): 3}


async def test_positions_of_a_connector_are_kept_in_a_compacted_topic(world):
    held = batch(1, 2)
    out = empty_batch()
    plan = Pipeline("p").source(connector=memory_source(held)).sink(connector=memory_sink(out))
    await world.run(plan)
    held.keys, held.values, held.timestamps = [None] * 3, [1, 2, 3], [0] * 3
    await world.run(plan)
    assert out.values == [1, 2, 3]
    log = world.topics.logs[TopicPartition("p-source-changelog", 0)]
    codec = StateCodec("")
    places = [codec.place(key) for key in log.keys]
    values = [codec.read(place, value[STAMP_BYTES:]) for place, value in zip(places, log.values, strict=True)]
    assert [value for place, value in zip(places, values, strict=True) if place == Place(POSITIONS, "memory")] == [2, 3]


async def test_positions_of_different_pipelines_do_not_meet(world):
    one, two = empty_batch(), empty_batch()
    source = memory_source(batch(1, 2))
    await world.run(Pipeline("one").source(connector=source).sink(connector=memory_sink(one)))
    await world.run(Pipeline("two").source(connector=source).sink(connector=memory_sink(two)))
    assert one.values == two.values == [1, 2]


async def test_latest_skips_what_is_there(world):
    world.fill("in", [b"old"])
    summary = await world.run(Pipeline("p").source("in", start="latest").sink("out"))
    assert summary.records_read == 0


async def test_a_crash_right_after_a_start_at_the_latest_skips_nothing(world):
    """The group has committed nothing of its own yet, and what is latest moves on while the process is dead."""
    world.fill("in", [b"old"])
    plan = Pipeline("p").source("in", start="latest").sink("out")
    endless = RunSettings(engine=EngineSettings(commit_interval_ms=10**9))
    engine = world.engine(plan, endless)
    await engine.open()
    task = asyncio.create_task(engine.run())
    for _ in range(20):
        await asyncio.sleep(0)
    world.fill("in", [b"new"])
    for _ in range(20):
        await asyncio.sleep(0)
    assert engine.counters.records_read == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.topics.crash()
    await world.run(plan)
    assert world.topics.values("out") == [b"new"]


async def test_stop_ends_a_run_with_everything_in_hand_committed(world):
    world.fill("in", [b"%d" % n for n in range(100)])
    settings = RunSettings(batch_records=10)

    def stop_at_30(value: bytes) -> bytes:
        if value == b"35":
            engine.stop()
        return value

    engine = world.engine(Pipeline("p").source("in").map(stop_at_30).sink("out"), settings)
    await engine.open()
    summary = await engine.run()
    await engine.close()
    assert not summary.is_finished
    assert summary.records_read == 40
    assert world.topics.committed("p") == {TopicPartition("in", 0): 40}
    assert len(world.topics.values("out")) == 40


async def test_commits_come_at_intervals_of_the_clock(world):
    world.fill("in", [b"%d" % n for n in range(40)])
    commits = []

    def tick(value: bytes) -> bytes:
        world.clock.time_ms += 100
        commits.append(dict(world.topics.committed("p")))
        return value

    settings = RunSettings(once=True, batch_records=5, engine=EngineSettings(commit_interval_ms=1000))
    await world.run(Pipeline("p").source("in").map(tick).sink("out"), settings)
    offsets = [offsets.get(TopicPartition("in", 0)) or 0 for offsets in commits]
    assert offsets == sorted(offsets)
    assert {0, 10} < set(offsets) <= {0, 10, 20, 30}, "a second is ten records long here"
    for read, offset in enumerate(offsets):
        assert read - 25 < offset <= read, "records go on while what was written before arrives, and not for ever"


async def test_while_a_checkpoint_is_finished_records_go_on_and_the_next_one_waits(world, monkeypatch):
    world.fill("in", [b"%d" % n for n in range(60)])
    flush, may_arrive, written_meanwhile = SimulatedProducer.flush, asyncio.Event(), []

    async def flush_late(self: SimulatedProducer) -> None:
        await may_arrive.wait()
        await flush(self)

    def tick(value: bytes) -> bytes:
        world.clock.time_ms += 100
        if not may_arrive.is_set():
            written_meanwhile.append(value)
            if len(written_meanwhile) == 20:  # two intervals: the second checkpoint is due and waits for the first
                asyncio.get_running_loop().call_later(0.01, may_arrive.set)
        return value

    monkeypatch.setattr(SimulatedProducer, "flush", flush_late)
    settings = RunSettings(once=True, batch_records=5, engine=EngineSettings(commit_interval_ms=1000))
    await world.run(Pipeline("p").source("in").map(tick).sink("out"), settings)
    assert len(written_meanwhile) == 20
    assert world.topics.committed("p") == {TopicPartition("in", 0): 60}
    assert len(world.topics.values("out")) == 60


# ------------------------------------------------------------------------------------------ errors name stage and place


async def failure(world, plan) -> PipelineError:
    with pytest.raises(PipelineError) as raised:
        await world.run(plan)
    assert world.topics.committed(plan.name) == {}
    return raised.value


async def test_an_exception_in_a_function_stops_without_acknowledging(world):
    world.fill("in", [b"1", b"2", b"x", b"4"])
    error = await failure(world, Pipeline("p").source("in").map(int, name="parse").sink("out", value="json"))
    assert str(error) == (
        "pipeline p, stage parse at split in-0, offset 2: ValueError: invalid literal for int() with base 10: b'x'"
    )
    assert isinstance(error.__cause__, ValueError)


async def test_the_offset_is_found_behind_filters_and_flat_maps(world):
    world.fill("in", [b"1", b"skip", b"2", b"3,x", b"4"])
    plan = (
        Pipeline("p")
        .source("in")
        .filter(lambda v: v != b"skip")
        .flat_map(lambda v: v.split(b","))
        .filter(lambda v: v != b"3")
        .map(int)
        .sink("out", value="json")
    )
    assert (await failure(world, plan)).place == "split in-0, offset 3"


async def test_behind_a_function_of_batches_the_range_is_named(world):
    world.fill("in", [b"1", b"x"])
    plan = Pipeline("p").source("in").map_batches(lambda one: one).map(int).sink("out", value="json")
    assert (await failure(world, plan)).place == "split in-0, offsets 0 to 1"


async def test_bytes_that_cannot_be_read_are_named(world):
    world.fill("in", [b"1", b"{"], keys=[[b"a", b"b"]])
    error = await failure(world, Pipeline("p").source("in", value="json").sink("out", value="json"))
    assert str(error).startswith("pipeline p, stage source at split in-0, offset 1: the value cannot be read: ")


async def test_keys_that_cannot_be_read_are_named(world):
    world.fill("in", [b"1", b"2"], keys=[[b"a", b"\xff"]])
    error = await failure(world, Pipeline("p").source("in", key="string").sink("out"))
    assert str(error).startswith("pipeline p, stage source at split in-0, offset 1: the key cannot be read: ")


async def test_values_that_cannot_be_written_are_named(world):
    world.fill("in", [b"1", b"2"])
    error = await failure(world, Pipeline("p").source("in").map(lambda v: {"v": 1}).sink("out"))
    assert str(error) == (
        "pipeline p, stage sink at split in-0, offset 0: the value cannot be written: "
        "dict {'v': 1} needs a serializer, such as value='json'"
    )


async def test_a_missing_field_suggests_the_near_one(world):
    world.fill("in", [b'{"origin":"JFK"}'])
    error = await failure(world, Pipeline("p").source("in", value="json").key_by("orign").sink("out", value="json"))
    assert str(error) == (
        "pipeline p, stage key_by at split in-0, offset 0: the value has no field 'orign'; did you mean origin?"
    )


async def test_a_field_of_bytes_says_that_they_must_be_decoded(world):
    world.fill("in", [b"{}"])
    error = await failure(world, Pipeline("p").source("in").key_by("origin").sink("out"))
    assert "decode it at the source, with value='json' say" in str(error)


async def test_a_topic_that_does_not_exist_is_named(world):
    error = await failure(world, Pipeline("p").source("nowhere").sink("out"))
    assert str(error) == (
        "pipeline p, stage source: topic nowhere does not exist; create it, or start what writes to it first"
    )


async def test_an_endless_run_waits_for_its_topic(world):
    plan = Pipeline("p").source("later").map(lambda value: engine.stop() or value).sink("out")
    engine = world.engine(plan, RunSettings(engine=EngineSettings(max_wait_ms=0)))
    await engine.open()
    task = asyncio.create_task(engine.run())
    for _ in range(20):
        await asyncio.sleep(0)
    world.fill("later", [b"1"])
    summary = await task
    await engine.close()
    assert summary.records_read == 1
    assert world.topics.values("out") == [b"1"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "the function returned NoneType, not a Batch"),
        (Batch(keys=[], values=[1], timestamps=[0]), "have different lengths: [0, 1, 1]"),
        (Batch(keys=[1], values=[1], timestamps=[0], headers=[]), "have different lengths: [1, 1, 1, 0]"),
    ],
)
async def test_a_function_of_batches_must_return_columns_of_one_length(world, result, reason):
    world.fill("in", [b"1", b"2"])
    error = await failure(world, Pipeline("p").source("in").map_batches(lambda one: result).sink("out"))
    assert reason in str(error)


class RefusingSink(MemorySink):
    async def write(self, batch: Batch) -> list[Rejected]:
        return [Rejected(n, f"{v!r} is odd") for n, v in enumerate(batch.values) if v % 2]


class FailingSink(MemorySink):
    async def flush(self) -> None:
        raise ConnectorError("disk full: free some space under /data")


class UnopenableSink(MemorySink):
    async def open(self) -> None:
        raise ConnectorError("table=orders: no such table")


def sink_of(kind: type[MemorySink]) -> ConnectorSpec:
    return ConnectorSpec(name="test", sink_config=PluginConfig, open_sink=lambda config, context: kind(empty_batch()))


async def test_a_record_that_the_sink_refuses_stops_the_pipeline(world):
    world.fill("in", [b"2", b"3", b"4", b"5"])
    error = await failure(world, Pipeline("p").source("in").map(int).sink(connector=sink_of(RefusingSink)))
    assert str(error) == "pipeline p, stage sink at split in-0, offset 1: the sink refused the record: 3 is odd"


async def test_a_flush_that_fails_commits_nothing(world):
    world.fill("in", [b"1"])
    error = await failure(world, Pipeline("p").source("in").sink(connector=sink_of(FailingSink)))
    assert str(error) == "pipeline p, stage sink: disk full: free some space under /data"


async def test_a_sink_that_cannot_be_opened_stops_the_start(world):
    world.fill("in", [b"1"])
    error = await failure(world, Pipeline("p").source("in").sink(connector=sink_of(UnopenableSink)))
    assert str(error) == "pipeline p, stage sink: table=orders: no such table"


async def test_a_sink_is_called_by_one_task_at_a_time(world):
    """Tasks work side by side where one may wait; a connector is written for one caller."""
    world.fill("in", *([b"%d" % number] * 5 for number in range(4)))
    written: list[Any] = []

    class OneAtATime(MemorySink):
        is_writing = False

        async def write(self, batch: Batch) -> Sequence[Rejected]:
            assert not OneAtATime.is_writing, "two writes at a time"
            OneAtATime.is_writing = True
            await asyncio.sleep(0)
            OneAtATime.is_writing = False
            written.extend(batch.values)
            return ()

        async def flush(self) -> None:
            assert not OneAtATime.is_writing, "flushed in the middle of a write"
            await super().flush()

    await world.run(Pipeline("p").source("in").sink(connector=sink_of(OneAtATime)))
    assert len(written) == 20
