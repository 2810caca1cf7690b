"""Keeps a loop at a rate, for tools that send so many records a second."""

from __future__ import annotations

import time
from collections.abc import Callable

SLEEP_LEAST_S = 0.001


class Throttle:
    """`pause` waits while records go out faster than wanted. A negative rate is no limit."""

    def __init__(self, records_per_s: float, wait: Callable[[float], None] = time.sleep) -> None:
        """`wait` is given seconds; a producer passes its own, which lets acknowledgements in meanwhile."""
        self._rate = records_per_s
        self._wait = wait
        self._start_s = time.monotonic()

    def pause(self, sent: int) -> None:
        if self._rate <= 0:
            return
        ahead_s = sent / self._rate - (time.monotonic() - self._start_s)
        while ahead_s > SLEEP_LEAST_S:
            self._wait(ahead_s)
            ahead_s = sent / self._rate - (time.monotonic() - self._start_s)
