"""One served API: its key, the versions we serve, and the module whose `handle` answers it.

`handle(context, services, request)` may return
- a response: answered at once, in request order;
- an `asyncio.Future` of one: its synchronous part has run in order, later requests of the connection go on meanwhile,
  replies still leave in request order (Produce, Fetch, JoinGroup, SyncGroup);
- a coroutine: the connection waits for it before it handles the next request, as Kafka does for every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol

from mainstem.broker.context import RequestContext
from mainstem.broker.reply import ReplyLine
from mainstem.wire.apis import ApiKey
from mainstem.wire.schema import Message

Answer = Message | asyncio.Future[Any] | Coroutine[Any, Any, Any]
Handle = Callable[[RequestContext, Any, Any], Answer]


class AnswerLine(ReplyLine, Protocol):
    """What the dispatcher sees of a connection that waits for an answer."""

    def hold(self) -> None:
        """Handle no further request until `release`: a coroutine is answering one."""

    def release(self) -> None: ...


@dataclass(frozen=True)
class Route:
    api: ApiKey
    first_version: int
    last_version: int

    @cached_property
    def handle(self) -> Handle:
        """Imported on the first request, so that rare APIs cost nothing at start."""
        handle: Handle = self._module().handle
        return handle

    @property
    def is_hot(self) -> bool:
        """Produce and Fetch read their frames themselves: `handle_frame` in place of `handle`."""
        return self.api in (ApiKey.PRODUCE, ApiKey.FETCH)

    @property
    def handle_frame(self) -> Any:
        return self._module().handle_frame

    def _module(self) -> Any:
        return import_module(f"mainstem.broker.handlers.{self.api.name.lower()}")
