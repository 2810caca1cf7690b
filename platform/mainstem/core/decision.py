"""The one result type of every state machine in core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Record = TypeVar("Record")


@dataclass(slots=True, kw_only=True)
class Reply:
    """An answer for a caller who may have been waiting since an earlier command. `token` is what the caller handed in."""

    token: Any
    response: Any


@dataclass(slots=True, kw_only=True)
class Timer:
    """Call back with `command` at `deadline_ms`; a later timer of the same `key` replaces this one, None cancels it."""

    key: tuple[Any, ...]
    deadline_ms: int | None
    command: Any = None


@dataclass(slots=True, kw_only=True)
class Decision(Generic[Record]):
    """What to write, whom to answer (once the records are committed), and when to wake up."""

    records: Sequence[Record] = ()
    replies: Sequence[Reply] = ()
    timers: Sequence[Timer] = ()
    effects: Sequence[Any] = field(default=())
