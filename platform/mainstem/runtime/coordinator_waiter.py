"""Whoever waits for what a coordinator answers: at once, or once it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mainstem.model.errors import ErrorCode


class Waiter:
    """A request that waits for its answer; the token of its command. Answered once, possibly before `submit`
    returns.
    """

    __slots__ = ("_command", "_future", "_is_answered", "_render", "error", "response")

    def __init__(self, command: Any, render: Callable[[Any], Any]) -> None:
        self._command = command
        self._render = render
        self._future: asyncio.Future[Any] | None = None
        self._is_answered = False
        self.response: Any = None
        self.error: Exception | None = None

    def answer(self, result: Any) -> None:
        if self._is_answered:
            return
        self._is_answered = True
        try:
            self.response = self._render(result)
        except Exception as error:
            # Answers are given from within the partition's own progress; only this request may suffer from a
            # bug here.
            self.error = error
        if self._future is not None:
            self._resolve(self._future)

    def refuse(self, error: ErrorCode) -> None:
        self.answer(self._command.refused(error))

    def outcome(self, loop: asyncio.AbstractEventLoop) -> Any:
        """The response, or a future of it. Called once."""
        if self.error is not None:
            raise self.error
        if self._is_answered:
            return self.response
        self._future = loop.create_future()
        return self._future

    def _resolve(self, future: asyncio.Future[Any]) -> None:
        if future.done():
            return
        if self.error is not None:
            future.set_exception(self.error)
        else:
            future.set_result(self.response)
