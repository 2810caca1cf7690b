"""Snapshots of state in memory: the file, and that a run which finds one goes on as if it had read its changelog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.api.batch import Batch
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.memory import empty_batch, memory_sink
from mainstem.pipeline.plan.aggregates import Count
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.state.changelog import Change, StateId
from mainstem.pipeline.state.snapshot import Snapshot, block_of, entries_of, from_bytes, to_bytes

CHANGELOG = TopicPartition("p-source-changelog", 0)
SAMPLE = Snapshot(StateId(2**63 - 1, 7, 40), 55, [block_of([Change(b"k", b"v"), Change(b"", b"\x00")]), block_of([])])


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)).map(lambda pair: Change(*pair))))
def test_entries_come_back_as_they_were(entries: list[Change]) -> None:
    found = from_bytes(to_bytes(Snapshot(StateId(1, 2, 3), 4, [block_of(entries)])))
    assert found is not None
    assert entries_of(found.blocks[0]) == entries


def test_what_is_not_whole_is_nothing() -> None:
    data = to_bytes(SAMPLE)
    assert from_bytes(data) == SAMPLE
    assert [from_bytes(data[:end]) for end in range(len(data))] == [None] * len(data)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        assert from_bytes(bytes(changed)) is None


@pytest.fixture
def reads(world: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """At which offsets the changelog was read."""
    offsets: list[int] = []
    read = world.transport.read

    async def noting(partition: TopicPartition, offset: int, **options: Any) -> Any:
        if partition == CHANGELOG:
            offsets.append(offset)
        return await read(partition, offset, **options)

    monkeypatch.setattr(world.transport, "read", noting)
    return offsets


def add(world: Any, first: int, end: int) -> None:
    keys = [b"k%d" % (number % 3) for number in range(first, end)]
    batch = Batch(keys=keys, values=[b"1"] * len(keys), timestamps=list(range(first, end)))
    world.topics.append(TopicPartition("in", 0), batch)


async def count(world: Any, folder: Path | None, also: Any = None) -> list[int]:
    """One run over what is there: the counts that it wrote."""
    out = empty_batch()
    plan = Pipeline("p").source("in", key="string").map(also or (lambda value: value)).aggregate(n=Count())
    settings = RunSettings(once=True, batch_records=4, snapshot_folder=folder)
    await world.run(plan.sink(connector=memory_sink(out)), settings)
    return [one["n"] for one in out.values]


async def test_a_run_goes_on_from_the_snapshot_of_the_one_before(world: Any, reads: list[int], tmp_path: Path) -> None:
    world.topics.create("in", 1)
    add(world, 0, 30)
    await count(world, tmp_path)
    assert (tmp_path / "p" / "source" / "0.snapshot").is_file()
    _, end = (await world.transport.end_offsets(CHANGELOG.topic))[CHANGELOG]
    reads.clear()
    add(world, 30, 60)
    assert sorted(await count(world, tmp_path)) == sorted([*range(11, 21)] * 3)
    assert all(offset >= end for offset in reads), "what the snapshot covers is not read again"


async def test_without_its_folder_the_changelog_is_read(world: Any, reads: list[int], tmp_path: Path) -> None:
    world.topics.create("in", 1)
    add(world, 0, 30)
    await count(world, tmp_path / "here")
    add(world, 30, 60)
    reads.clear()
    assert sorted(await count(world, tmp_path / "elsewhere")) == sorted([*range(11, 21)] * 3)
    assert reads[0] == 0


async def test_a_snapshot_that_others_have_overtaken_or_that_is_broken_is_not_used(world: Any, tmp_path: Path) -> None:
    world.topics.create("in", 1)
    add(world, 0, 30)
    await count(world, tmp_path)
    old = (tmp_path / "p" / "source" / "0.snapshot").read_bytes()
    add(world, 30, 60)
    await count(world, None)  # a worker on another machine
    add(world, 60, 63)
    assert await count(world, tmp_path) == [21, 21, 21]
    broken = tmp_path / "p" / "source" / "0.snapshot"
    broken.write_bytes(old[:-1])
    add(world, 63, 66)
    assert await count(world, tmp_path) == [22, 22, 22]


async def test_what_somebody_else_wrote_to_the_changelog_is_still_repaired(world: Any, tmp_path: Path) -> None:
    """A worker that was put out of the group, and wrote on while this one had its task."""
    world.topics.create("in", 1)
    add(world, 0, 30)
    told: list[bytes] = []

    def zombie(value: Any) -> Any:
        if not told:
            told.append(value)
            stray = Batch(keys=[b"aggregate\x00" + b"x" * 9], values=[b"s" * 12], timestamps=[0])
            world.topics.append(CHANGELOG, stray)
        return value

    await count(world, tmp_path, zombie)
    found = from_bytes((tmp_path / "p" / "source" / "0.snapshot").read_bytes())
    assert found is not None
    assert found.covers == found.state_id.base
