"""The only reader of time in the broker. Tests hand in a virtual one (`mainstem.testing.virtual_clock`)."""

from __future__ import annotations

import time


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000
