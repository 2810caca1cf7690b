"""Replies leave a connection in the order of its requests, whenever they are ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Buffers = Sequence[bytes | bytearray | memoryview]


class ReplySlot:
    """The place of one reply in the line. `complete` may be called once, on the loop.

    `on_closed` is called if the connection ends first: whoever waits on the client's behalf can stop.
    """

    __slots__ = ("_channel", "buffers", "on_closed")

    def __init__(self, channel: ReplyLine) -> None:
        self._channel = channel
        self.buffers: Buffers | None = None
        self.on_closed: Callable[[], None] | None = None

    def complete(self, buffers: Buffers) -> None:
        """Empty `buffers`: the request gets no reply (acks=0), its turn passes."""
        self.buffers = buffers
        self._channel.drain()


class FastLane(Protocol):
    """Answers runs of requests that repeat (`broker.produce_lane`)."""

    def take(self, line: ReplyLine, buffer: bytearray, view: memoryview, position: int, end: int) -> int:
        """Answer whole requests in `buffer[position:end]`; returns the position after them, `position` for none."""


class ReplyLine(Protocol):
    """What handlers of hot requests see of a connection."""

    def send(self, buffers: Buffers) -> None:
        """The reply is ready now; it still waits for earlier ones."""

    def send_one(self, reply: bytes | bytearray) -> None:
        """`send` for a reply in one piece."""

    def defer(self) -> ReplySlot:
        """The reply comes later."""

    def drain(self) -> None:
        """Write what is ready at the head of the line."""

    def hold(self) -> None:
        """Handle no further request of the client until `release`."""

    def release(self) -> None:
        """Once for each `hold`; may handle the next requests at once."""

    def add_lane(self, lane: FastLane) -> None:
        """From now on `lane` is asked first."""

    def abort(self, reason: str) -> None:
        """Close the connection: what it sent cannot be answered."""
