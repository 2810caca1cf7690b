"""How many bytes clients make this broker hold, in all: requests that are still arriving, replies that nobody takes.

Requests: a receive buffer grows as bytes arrive, never by what a client announces. When all buffers together reach the limit
(`queued.max.request.bytes`, KIP-72), connections whose buffer would have to grow are not read until others give memory back.
Replies: when much is unsent, a Fetch is answered with less than it asks for; the consumer comes back for the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

REQUEST_BYTES_MAX_DEFAULT = 512 << 20
REPLY_BYTES_PLENTY = 128 << 20
REPLY_BYTES_MUCH = 256 << 20
FETCH_BYTES_WHEN_MUCH = 1 << 20
FETCH_BYTES_WHEN_TOO_MUCH = 64 << 10


class Memory:
    """One per broker, owned by the loop. Connections tell it what they hold."""

    def __init__(self, request_bytes_max: int = REQUEST_BYTES_MAX_DEFAULT) -> None:
        self.request_bytes_max = request_bytes_max
        self.request_bytes = 0
        self.reply_bytes = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def may_grow(self) -> bool:
        """As in Kafka the limit may be passed by one step: a request larger than all of it still gets through alone."""
        return self.request_bytes < self.request_bytes_max

    @property
    def is_scarce(self) -> bool:
        """Buffers that are empty shall be small now."""
        return self.request_bytes > self.request_bytes_max // 2

    @property
    def is_exhausted(self) -> bool:
        """Somebody waits for memory."""
        return bool(self._waiting)

    def when_free(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, when there may be memory again."""
        self._waiting.append(resume)

    def give_back(self, request_bytes: int) -> None:
        self.request_bytes -= request_bytes
        # Each one that resumes may take what is left: the next is asked only if there is still some.
        for _ in range(len(self._waiting)):
            if not self.may_grow():
                return
            self._waiting.popleft()()

    def fetch_bytes(self, wanted: int) -> int:
        """How much of `wanted` one Fetch may be answered with."""
        if self.reply_bytes < REPLY_BYTES_PLENTY:
            return wanted
        return min(wanted, FETCH_BYTES_WHEN_MUCH if self.reply_bytes < REPLY_BYTES_MUCH else FETCH_BYTES_WHEN_TOO_MUCH)
