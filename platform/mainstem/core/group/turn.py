"""One command being decided: what it may look at, and the decision it fills."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import msgspec

from mainstem.core.decision import Decision, Fact, Reply, Timer
from mainstem.core.group.records import GroupRecord
from mainstem.core.group.settings import GroupSettings


class Turn(msgspec.Struct):
    """Lives for one call of `decide`. `now_ms` is wall-clock time."""

    settings: GroupSettings
    now_ms: int
    decision: Decision[GroupRecord] = msgspec.field(default_factory=Decision)

    def reply(self, token: Any, response: Any) -> None:
        self.decision.replies.append(Reply(token, response))

    def write(self, record: GroupRecord) -> None:
        self.decision.records.append(record)

    def wake(self, key: Hashable, delay_ms: int, command: Any) -> None:
        self.decision.timers.append(Timer(key, delay_ms, command))

    def cancel(self, key: Hashable) -> None:
        self.decision.timers.append(Timer(key, None))

    def note(self, event: str, **facts: Any) -> None:
        self.decision.facts.append(Fact(event, facts))


def session_timer(group_id: str, member_id: str) -> Hashable:
    return ("session", group_id, member_id)


def join_timer(group_id: str) -> Hashable:
    return ("join", group_id)


def sync_timer(group_id: str) -> Hashable:
    return ("sync", group_id)
