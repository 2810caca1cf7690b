"""Named timers of one coordinator shard. Moving one to a later time, which every heartbeat does, costs no
timer of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

from mainstem.api.context import Clock
from mainstem.core.decision import Timer

STALL_MS = 500
"""Whoever is this late has been stalled: by the disk, or by the machine."""


class Handle(Protocol):
    def cancel(self) -> None: ...


class Scheduler(Protocol):
    """What is needed of an event loop; tests hand in a virtual one."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Handle:
        """`delay` in seconds."""


class _Timer:
    __slots__ = ("command", "deadline_ms", "handle", "times_silence", "wakes_at_ms")

    def __init__(self, deadline_ms: int, timer: Timer, handle: Handle) -> None:
        self.deadline_ms = deadline_ms
        self.command = timer.command
        self.times_silence = timer.times_silence
        self.handle = handle
        self.wakes_at_ms = deadline_ms


class CoordinatorTimers:
    """`fire(command)` is called once when a timer's time has come. Deadlines are of the monotonic clock.

    Silence is not counted while `owes_answers()`, nor when it was we who were stalled: what clients said meanwhile lies unread
    in their sockets, and the loop looks at its timers first.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        clock: Clock,
        fire: Callable[[Any], None],
        owes_answers: Callable[[], bool] = lambda: False,
    ) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._fire = fire
        self._owes_answers = owes_answers
        self._timers: dict[Hashable, _Timer] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def set(self, timer: Timer) -> None:
        """A later timer of the same key replaces this one; one without a delay ends it."""
        running = self._timers.get(timer.key)
        if timer.delay_ms is None:
            if running is not None:
                running.handle.cancel()
                del self._timers[timer.key]
            return
        deadline_ms = self._clock.monotonic_ms() + max(timer.delay_ms, 0)
        if running is not None and deadline_ms >= running.wakes_at_ms:
            # It will wake too early, see that, and sleep on.
            running.deadline_ms, running.command = deadline_ms, timer.command
            running.times_silence = timer.times_silence
            return
        if running is not None:
            running.handle.cancel()
        self._timers[timer.key] = _Timer(deadline_ms, timer, self._call_later(timer.delay_ms, timer.key))

    def begin_again(self, timers: Iterable[Timer]) -> None:
        """Those that still run."""
        for timer in timers:
            if timer.key in self._timers:
                self.set(timer)

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
        if timer.times_silence and (left_ms < -STALL_MS or (left_ms <= 0 and self._owes_answers())):
            left_ms = STALL_MS
            timer.deadline_ms = self._clock.monotonic_ms() + left_ms
        if left_ms > 0:
            timer.wakes_at_ms = timer.deadline_ms
            timer.handle = self._call_later(left_ms, key)
            return
        del self._timers[key]
        self._fire(timer.command)
