"""What a handler sees in the place of its connection while its answer is held back or changed."""

from __future__ import annotations

from collections.abc import Callable

from mainstem.broker.reply import Buffers, FastLane, ReplySlot
from mainstem.broker.route import AnswerLine


class HeldLine:
    """The reply to one request goes to `taken` in one piece, `b""` for none; everything else to the connection."""

    def __init__(self, line: AnswerLine, taken: Callable[[bytes], None]) -> None:
        self._line = line
        self._taken = taken
        self._slot: ReplySlot | None = None
        self._is_answered = False

    def send(self, buffers: Buffers) -> None:
        self._answer(b"".join(buffers))

    def send_one(self, reply: bytes | bytearray) -> None:
        self._answer(bytes(reply))

    def defer(self) -> ReplySlot:
        self._slot = ReplySlot(self)
        return self._slot

    def drain(self) -> None:
        if self._slot is not None and self._slot.buffers is not None:
            self._answer(b"".join(self._slot.buffers))

    def add_lane(self, lane: FastLane) -> None:
        """A lane would answer the next request past the faults."""

    def abort(self, reason: str) -> None:
        self._line.abort(reason)

    def hold(self) -> None:
        self._line.hold()

    def release(self) -> None:
        self._line.release()

    def handled(self) -> None:
        """The handler has returned: if it neither answered nor deferred there will be no reply (acks=0)."""
        if self._slot is None:
            self._answer(b"")

    def closed(self) -> None:
        """The connection has gone before the answer came."""
        if self._slot is not None and self._slot.on_closed is not None:
            self._slot.on_closed()

    def _answer(self, reply: bytes) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._taken(reply)
