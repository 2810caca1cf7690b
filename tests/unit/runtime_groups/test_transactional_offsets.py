"""Offsets of transactions in the groups' own log: written as their producer's, ended by a marker."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mainstem.core.group.commands import CommitTransactionalOffsets, OffsetToCommit
from mainstem.core.log.transactions import Marker, read_marker
from mainstem.core.log.verification import Admission
from mainstem.model.batch import read_header
from mainstem.model.errors import ErrorCode
from mainstem.model.topic import GROUP_OFFSETS_TOPIC
from mainstem.runtime.coordinator_shard import EndMarker

E = ErrorCode
COMMIT = CommitTransactionalOffsets(
    group_id="g",
    producer_id=7,
    producer_epoch=2,
    generation=-1,
    member_id="",
    group_instance_id=None,
    offsets=(OffsetToCommit(topic="orders", partition=0, offset=42),),
)
END = EndMarker(7, 2, 5, is_commit=True)


@pytest.fixture
async def world(make_world: Any) -> Any:
    made = make_world()
    made.cluster.create(GROUP_OFFSETS_TOPIC)
    yield made
    await made.groups.close()


def offsets(world: Any) -> list[int]:
    return [offset for snapshot in world.groups.snapshots() for offset in snapshot.offsets.values()]


def test_they_are_written_as_their_producers_and_count_with_the_marker(world: Any) -> None:
    result = world.groups.commit_transactional(COMMIT, Admission())
    assert [o.error for o in result.offsets] == [E.NONE]
    log = world.partition_of("g")
    header = read_header(log.batches[-1])
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 2, 0)
    assert header.is_transactional
    assert offsets(world) == []
    told: list[ErrorCode] = []
    world.groups.end_transaction(world.groups.partition_for("g"), END, told.append)
    assert told == [E.NONE]
    assert offsets(world) == [42]
    marker = log.batches[-1]
    assert read_header(marker).is_control
    assert read_marker(read_header(marker), marker) == Marker(is_commit=True, coordinator_epoch=5)


def test_the_end_is_told_when_it_is_committed(world: Any) -> None:
    world.groups.commit_transactional(COMMIT, Admission())
    log = world.partition_of("g")
    log.is_held = True
    told: list[ErrorCode] = []
    world.groups.end_transaction(world.groups.partition_for("g"), END, told.append)
    assert told == []
    log.commit()
    assert told == [E.NONE]


async def test_after_a_restart_open_ones_still_wait(world: Any, make_world: Any) -> None:
    world.groups.commit_transactional(COMMIT, Admission())
    await world.groups.close()
    back = make_world(world.cluster)
    await back.groups._topic.ready("g")
    assert offsets(back) == []
    told: list[ErrorCode] = []
    back.groups.end_transaction(back.groups.partition_for("g"), END, told.append)
    assert (told, offsets(back)) == ([E.NONE], [42])
    await back.groups.close()


def test_a_refused_marker_changes_nothing(world: Any) -> None:
    world.groups.commit_transactional(COMMIT, Admission())
    world.partition_of("g").refuse = E.TRANSACTION_COORDINATOR_FENCED
    told: list[ErrorCode] = []
    world.groups.end_transaction(world.groups.partition_for("g"), END, told.append)
    assert (told, offsets(world)) == ([E.TRANSACTION_COORDINATOR_FENCED], [])


def test_a_broken_disk_gives_the_groups_up(world: Any) -> None:
    world.groups.commit_transactional(COMMIT, Admission())
    world.partition_of("g").is_broken = True
    told: list[ErrorCode] = []
    world.groups.end_transaction(world.groups.partition_for("g"), END, told.append)
    assert told == [E.KAFKA_STORAGE_ERROR]
    assert offsets(world) == []


def test_a_zombies_offsets_are_refused(world: Any) -> None:
    world.groups.commit_transactional(COMMIT, Admission())
    world.partition_of("g").refuse = E.INVALID_PRODUCER_EPOCH
    result = world.groups.commit_transactional(COMMIT, Admission())
    assert [o.error for o in result.offsets] == [E.INVALID_PRODUCER_EPOCH]


def test_somebody_elses_partition(world: Any) -> None:
    topic = world.cluster.image.topics[GROUP_OFFSETS_TOPIC]
    elsewhere = tuple(world.cluster.registration(i, 2) for i in range(len(topic.partitions)))
    world.cluster.image.topics[GROUP_OFFSETS_TOPIC] = replace(topic, partitions=elsewhere)
    told: list[ErrorCode] = []
    world.groups.end_transaction(0, END, told.append)
    assert told == [E.NOT_COORDINATOR]
