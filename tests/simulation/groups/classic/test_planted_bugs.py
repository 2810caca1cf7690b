"""Bugs planted into the coordinator: the simulation earns its trust by finding each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from planted_bugs import find_planted_bug

from mainstem.core.group import classic_rebalance, classic_sync, offsets
from mainstem.core.group.classic_member import Member
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.commands import CommitOffsets, SyncGroup
from mainstem.core.group.results import SyncResult
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode
from mainstem.runtime.coordinator_shard import CoordinatorShard

SEEDS = range(100)


def plant_stale_commits(patch: pytest.MonkeyPatch) -> None:
    """A consumer that slept through a rebalance may still commit."""
    checked = offsets._commit_problem

    def lenient(group: ClassicGroup | None, command: CommitOffsets) -> ErrorCode:
        problem = checked(group, command)
        return ErrorCode.NONE if problem is ErrorCode.ILLEGAL_GENERATION else problem

    patch.setattr(offsets, "_commit_problem", lenient)


def plant_early_answers(patch: pytest.MonkeyPatch) -> None:
    """Answers leave before their records are committed."""

    def release(shard: CoordinatorShard[Any], replies: Any, effects: Any, timers: Any) -> None:
        for reply in replies:
            shard._parked.discard(reply.token)
            if reply.token is not None:
                reply.token.answer(reply.response)

    patch.setattr(CoordinatorShard, "_release", release)


def plant_endless_sessions(patch: pytest.MonkeyPatch) -> None:
    """Members that died stay members."""
    patch.setattr(Member, "satisfies_heartbeat", lambda member: True)


def plant_hasty_followers(patch: pytest.MonkeyPatch) -> None:
    """Followers are given what they had, before the leader has assigned."""
    patient = classic_sync.sync

    def hasty(turn: Turn, group: ClassicGroup, command: SyncGroup) -> None:
        member = group.members.get(command.member_id)
        is_early = group.state is GroupState.COMPLETING_REBALANCE and command.generation == group.generation
        if is_early and member and member.assignment and not group.is_leader(member.member_id):
            turn.reply(command.token, SyncResult(assignment=member.assignment))
        else:
            patient(turn, group, command)

    patch.setattr(classic_sync, "sync", hasty)


def plant_one_generation_for_two(patch: pytest.MonkeyPatch) -> None:
    """A rebalance ends in the generation it began in."""
    begin = classic_rebalance._begin_generation

    def again(turn: Turn, group: ClassicGroup) -> None:
        group.generation -= group.generation > 1
        begin(turn, group)

    patch.setattr(classic_rebalance, "_begin_generation", again)


@pytest.mark.parametrize(
    "plant",
    [
        plant_stale_commits,
        plant_early_answers,
        plant_endless_sessions,
        plant_hasty_followers,
        plant_one_generation_for_two,
    ],
)
def test_a_planted_bug_is_found(
    simulate: Callable[[int], Any],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    plant(monkeypatch)
    find_planted_bug(simulate, SEEDS, plant.__doc__)
