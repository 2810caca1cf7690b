"""One command being decided: what it may look at, and the decision it fills."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import msgspec

from mainstem.core.decision import Decision, Fact, Reply, Timer
from mainstem.core.group.cluster_view import ClusterView
from mainstem.core.group.records import GroupRecord
from mainstem.core.group.settings import GroupSettings


class Turn(msgspec.Struct):
    """Lives for one call of `decide`. `now_ms` is wall-clock time."""

    settings: GroupSettings
    now_ms: int
    cluster: ClusterView
    decision: Decision[GroupRecord] = msgspec.field(default_factory=Decision)
    arrivals: list[Any] = msgspec.field(default_factory=list)
    """Classic groups with soft state that take over once their `GroupStored` is written."""

    def reply(self, token: Any, response: Any) -> None:
        self.decision.replies.append(Reply(token, response))

    def write(self, record: GroupRecord) -> None:
        self.decision.records.append(record)

    def wake(self, key: Hashable, delay_ms: int, command: Any, *, times_silence: bool = False) -> None:
        self.decision.timers.append(Timer(key, delay_ms, command, times_silence))

    def cancel(self, key: Hashable) -> None:
        self.decision.timers.append(Timer(key, None))

    def take_back(self) -> None:
        """The command is refused after all: nothing is written, no timer is set, nothing was answered yet."""
        assert not self.decision.replies, "who was answered cannot be told otherwise"
        self.decision.records.clear()
        self.decision.timers.clear()
        self.arrivals.clear()

    def note(self, event: str, **facts: Any) -> None:
        self.decision.facts.append(Fact(event, facts))


def session_timer(group_id: str, member_id: str) -> Hashable:
    return ("session", group_id, member_id)


def join_timer(group_id: str) -> Hashable:
    return ("join", group_id)


def sync_timer(group_id: str) -> Hashable:
    return ("sync", group_id)
