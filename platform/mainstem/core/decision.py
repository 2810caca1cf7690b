"""The one result type of every state machine in core."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import msgspec

Record = TypeVar("Record")


class Reply(msgspec.Struct, frozen=True):
    """An answer for a caller who may have been waiting since an earlier command. `token` is what the caller
    handed in."""

    token: Any
    response: Any


class Timer(msgspec.Struct, frozen=True):
    """Call back with `command` in `delay_ms`; a later timer of the same `key` replaces this one, None cancels
    it.

    `times_silence`: it waits for a client to speak, who cannot while it waits for our answer.
    """

    key: Hashable
    delay_ms: int | None
    command: Any = None
    times_silence: bool = False


class Fact(msgspec.Struct, frozen=True):
    """Something worth a line in the log: a constant dotted event name and what belongs to it. Core itself
    never logs."""

    event: str
    facts: dict[str, Any]


class Transactional(msgspec.Struct, frozen=True):
    """The records belong to a producer's transaction: they count when its marker comes, if it commits. `admission` is the log's
    (`core.log.verification`)."""

    producer_id: int
    producer_epoch: int
    admission: Any = None


class Decision(msgspec.Struct, Generic[Record]):
    """What to write, whom to answer (once the records and all before them are committed), and when to wake
    up.

    Owned by the command that is being decided; whoever runs it must not keep it. `atomic` records go into one
    batch, the
    others may be cut into several, in order. `effects` are handed to whoever runs the state machine, as the replies once all is
    committed; unlike replies they are not given up when that takes long.
    """

    records: list[Record] = msgspec.field(default_factory=list)
    replies: list[Reply] = msgspec.field(default_factory=list)
    timers: list[Timer] = msgspec.field(default_factory=list)
    facts: list[Fact] = msgspec.field(default_factory=list)
    effects: list[Any] = msgspec.field(default_factory=list)
    atomic: bool = True
    transactional: Transactional | None = None
