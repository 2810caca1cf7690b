"""Bugs planted into the coordinator: the simulation earns its trust by finding each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from planted_bugs import find_planted_bug

from mainstem.core.group import (
    consumer_classic,
    consumer_fencing,
    consumer_heartbeat,
    consumer_reconciliation,
    consumer_regex,
    conversion,
    offsets,
)
from mainstem.core.group.commands import CommitOffsets
from mainstem.core.group.consumer_member import NO_PARTITIONS, ConsumerMember
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode

SEEDS = range(200)
MIXED = 0.4


def plant_partitions_before_their_release(patch: pytest.MonkeyPatch) -> None:
    """A partition is given to its next owner while the one before still has it."""
    patch.setattr(ConsumerGroup, "owner_epoch", lambda group, topic_id, partition: consumer_reconciliation.FREE)


def plant_revocations_nobody_acknowledged(patch: pytest.MonkeyPatch) -> None:
    """A member that says nothing of what it owns is taken to have let go."""
    patch.setattr(
        consumer_reconciliation,
        "_still_owns",
        lambda owned, revoked: owned is not None and any(owned.get(t, frozenset()) & p for t, p in revoked.items()),
    )


def plant_commits_in_any_epoch(patch: pytest.MonkeyPatch) -> None:
    """The epoch of a commit is not looked at."""
    patch.setattr(offsets, "epoch_problem", lambda member, said: ErrorCode.NONE)


def plant_commits_of_strangers(patch: pytest.MonkeyPatch) -> None:
    """Who was put out may still commit."""
    checked = offsets._consumer_commit_problem

    def lenient(group: ConsumerGroup, command: CommitOffsets) -> ErrorCode:
        problem = checked(group, command)
        return ErrorCode.NONE if problem is ErrorCode.UNKNOWN_MEMBER_ID else problem

    patch.setattr(offsets, "_consumer_commit_problem", lenient)


def plant_deaf_groups(patch: pytest.MonkeyPatch) -> None:
    """Topics that grow do not begin another epoch."""
    patch.setattr(ConsumerGroup, "request_metadata_refresh", lambda group: None)


def plant_expressions_resolved_once(patch: pytest.MonkeyPatch) -> None:
    """New topics are not matched against the expressions that are there."""
    schedule = consumer_regex._schedule

    def once(turn: Turn, group: ConsumerGroup, *rest: Any) -> None:
        if not group.regexes:
            schedule(turn, group, *rest)

    patch.setattr(consumer_regex, "_schedule", once)


def plant_endless_sessions(patch: pytest.MonkeyPatch) -> None:
    """Members that died stay members."""
    patch.setattr(consumer_fencing, "member_is_late", lambda turn, group, command: None)


def plant_static_members_that_come_back_empty(patch: pytest.MonkeyPatch) -> None:
    """A static member that returns is believed to have nothing, and keeps it all the same."""
    replace = consumer_heartbeat.replace_static

    def empty(turn: Turn, group: ConsumerGroup, known: ConsumerMember, member_id: str) -> Any:
        return replace(turn, group, msgspec.structs.replace(known, assigned=NO_PARTITIONS), member_id)

    patch.setattr(consumer_heartbeat, "replace_static", empty)
    patch.setattr(consumer_heartbeat, "remove_member", lambda turn, group, member_id: None)


def plant_conversions_that_forget(patch: pytest.MonkeyPatch) -> None:
    """A group that changes its protocol begins without an assignment, while its members read on."""
    convert = conversion._from_classic

    def forgetful(*arguments: Any) -> list[ConsumerMember]:
        return [msgspec.structs.replace(member, assigned=NO_PARTITIONS) for member in convert(*arguments)]

    patch.setattr(conversion, "_from_classic", forgetful)


def plant_classic_members_that_are_not_called(patch: pytest.MonkeyPatch) -> None:
    """A classic member hears nothing of a new epoch."""
    patch.setattr(consumer_classic, "_heartbeat", lambda turn, group, command: ErrorCode.NONE)


@pytest.mark.parametrize(
    ("plant", "classic_share"),
    [
        (plant_partitions_before_their_release, 0.0),
        (plant_revocations_nobody_acknowledged, 0.0),
        (plant_commits_in_any_epoch, 0.0),
        (plant_commits_of_strangers, 0.0),
        (plant_deaf_groups, 0.0),
        (plant_expressions_resolved_once, 0.0),
        (plant_endless_sessions, 0.0),
        (plant_static_members_that_come_back_empty, 0.0),
        (plant_conversions_that_forget, MIXED),
        (plant_classic_members_that_are_not_called, MIXED),
    ],
)
def test_a_planted_bug_is_found(
    simulate: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    classic_share: float,
) -> None:
    plant(monkeypatch)
    find_planted_bug(lambda seed: simulate(seed, classic_share), SEEDS, plant.__doc__)
