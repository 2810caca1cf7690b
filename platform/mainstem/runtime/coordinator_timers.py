"""Named timers of one coordinator shard. Moving one to a later time, which every heartbeat does, costs no
timer of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from mainstem.api.context import Clock


class Handle(Protocol):
    def cancel(self) -> None: ...


class Scheduler(Protocol):
    """What is needed of an event loop; tests hand in a virtual one."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Handle:
        """`delay` in seconds."""


class _Timer:
    __slots__ = ("command", "deadline_ms", "handle", "wakes_at_ms")

    def __init__(self, deadline_ms: int, command: Any, handle: Handle) -> None:
        self.deadline_ms = deadline_ms
        self.command = command
        self.handle = handle
        self.wakes_at_ms = deadline_ms


class CoordinatorTimers:
    """`fire(command)` is called once when a timer's time has come. Deadlines are of the monotonic clock."""

    def __init__(self, scheduler: Scheduler, clock: Clock, fire: Callable[[Any], None]) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._fire = fire
        self._timers: dict[Hashable, _Timer] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def set(self, key: Hashable, delay_ms: int, command: Any) -> None:
        """A later timer of the same key replaces this one."""
        deadline_ms = self._clock.monotonic_ms() + max(delay_ms, 0)
        timer = self._timers.get(key)
        if timer is None:
            self._timers[key] = _Timer(deadline_ms, command, self._call_later(delay_ms, key))
        elif deadline_ms >= timer.wakes_at_ms:
            # It will wake too early, see that, and sleep on.
            timer.deadline_ms, timer.command = deadline_ms, command
        else:
            timer.handle.cancel()
            self._timers[key] = _Timer(deadline_ms, command, self._call_later(delay_ms, key))

    def cancel(self, key: Hashable) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.handle.cancel()

    def clear(self) -> None:
        for timer in self._timers.values():
            timer.handle.cancel()
        self._timers.clear()

    def _call_later(self, delay_ms: int, key: Hashable) -> Handle:
        return self._scheduler.call_later(max(delay_ms, 0) / 1000, self._woken, key)

    def _woken(self, key: Hashable) -> None:
        timer = self._timers.get(key)
        if timer is None:
            return
        left_ms = timer.deadline_ms - self._clock.monotonic_ms()
        if left_ms > 0:
            timer.wakes_at_ms = timer.deadline_ms
            timer.handle = self._call_later(left_ms, key)
            return
        del self._timers[key]
        self._fire(timer.command)
