"""One connection with a transport that only remembers: framing, order of replies, back-pressure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from mainstem.broker.connection import BUFFER_BYTES_KEPT, BUFFER_BYTES_START, OUT_BYTES_MAX, Connection
from mainstem.broker.reply import ReplySlot


class Transport:
    """What asyncio gives a protocol, reduced to what the connection calls."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_reading = True
        self.is_closed = False

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    def set_write_buffer_limits(self, high: int) -> None: ...

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def writelines(self, buffers: list[bytes]) -> None:
        self.written.append(b"".join(buffers))

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Handler:
    """Notes every frame; `answer` decides what happens with it."""

    frame_bytes_max = 1 << 20

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.answer: Callable[[Connection, bytes], None] = lambda connection, frame: None
        self.reasons: list[str | None] = []

    def handle(self, connection: Connection, frame: memoryview) -> None:
        self.frames.append(bytes(frame))
        self.answer(connection, bytes(frame))

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection, reason: str | None) -> None:
        self.reasons.append(reason)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
async def connection(handler: Handler, transport: Transport) -> Connection:
    connection = Connection(handler, "PLAINTEXT")
    connection.connection_made(transport)  # type: ignore[arg-type]
    return connection


def framed(*frames: bytes) -> bytes:
    return b"".join(struct.pack(">i", len(f)) + f for f in frames)


def feed(connection: Connection, data: bytes, chunk: int = 1 << 30) -> None:
    """As the loop does: copy into the buffer the connection offers, then say how much."""
    while data:
        view = connection.get_buffer(-1)
        size = min(len(view), len(data), chunk)
        view[:size] = data[:size]
        connection.buffer_updated(size)
        data = data[size:]


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000, 1 << 20])
async def test_frames_arrive_whole_however_they_are_cut(connection: Connection, handler: Handler, chunk: int) -> None:
    sent = [b"", b"a", b"x" * 5000, b"y" * 40_000, b"end"]
    feed(connection, framed(*sent), chunk)
    assert handler.frames == sent


async def test_buffer_grows_to_the_frame_and_shrinks_again(connection: Connection, handler: Handler) -> None:
    feed(connection, framed(b"x" * 900_000))
    assert handler.frames[-1] == b"x" * 900_000
    assert len(connection._buffer) <= BUFFER_BYTES_KEPT
    for _ in range(200):
        feed(connection, framed(b"small"))
    assert len(connection._buffer) == BUFFER_BYTES_START


@pytest.mark.parametrize("length", [-1, (1 << 20) + 1, 2**31 - 1])
async def test_length_out_of_bounds_ends_the_connection(
    connection: Connection, handler: Handler, transport: Transport, length: int
) -> None:
    feed(connection, struct.pack(">i", length))
    assert transport.is_closed
    connection.connection_lost(None)
    assert "bytes" in (handler.reasons[0] or "")


async def test_replies_leave_in_request_order(connection: Connection, handler: Handler, transport: Transport) -> None:
    slots: list[ReplySlot] = []

    def answer(line: Connection, frame: bytes) -> None:
        if frame == b"slow":
            slots.append(line.defer())
        else:
            line.send((frame,))

    handler.answer = answer
    feed(connection, framed(b"1", b"slow", b"2", b"slow", b"3"))
    assert b"".join(transport.written) == b"1"
    slots[1].complete((b"B",))
    connection._write()
    assert b"".join(transport.written) == b"1"
    slots[0].complete((b"A",))
    connection._write()
    assert b"".join(transport.written) == b"1A2B3"


async def test_all_replies_of_one_read_leave_in_one_write(
    connection: Connection, handler: Handler, transport: Transport
) -> None:
    handler.answer = lambda line, frame: line.send((frame,))
    feed(connection, framed(b"1", b"2", b"3"))
    assert transport.written == [b"123"]


async def test_request_without_reply_passes_its_turn(
    connection: Connection, handler: Handler, transport: Transport
) -> None:
    slots: list[ReplySlot] = []
    handler.answer = lambda line, frame: slots.append(line.defer()) if frame == b"quiet" else line.send((frame,))
    feed(connection, framed(b"quiet", b"1"))
    slots[0].complete(())
    connection._write()
    assert transport.written == [b"1"]


async def test_held_connection_reads_nothing_until_released(
    connection: Connection, handler: Handler, transport: Transport
) -> None:
    handler.answer = lambda line, frame: line.hold() if frame == b"hold" else None
    feed(connection, framed(b"hold", b"next"))
    assert handler.frames == [b"hold"]
    assert not transport.is_reading
    connection.release()
    assert handler.frames == [b"hold", b"next"]
    assert transport.is_reading


async def test_client_that_does_not_take_its_replies_is_not_read(
    connection: Connection, handler: Handler, transport: Transport
) -> None:
    connection.pause_writing()
    feed(connection, framed(b"1"))
    assert handler.frames == []
    assert not transport.is_reading
    connection.resume_writing()
    assert handler.frames == [b"1"]


async def test_small_requests_for_large_replies_are_written_in_between(
    connection: Connection, handler: Handler, transport: Transport
) -> None:
    """The transport says stop after the first megabytes; the requests behind must wait in their own bytes, not as replies."""
    large = bytes(OUT_BYTES_MAX // 2)
    handler.answer = lambda line, frame: line.send((large,))
    write = transport.writelines

    def full(buffers: Any) -> None:
        write(buffers)
        connection.pause_writing()

    transport.writelines = full  # type: ignore[method-assign]
    feed(connection, framed(*[b"fetch"] * 100))
    assert len(handler.frames) == 3


async def test_waiters_are_told_when_their_client_is_gone(connection: Connection, handler: Handler) -> None:
    told: list[str] = []

    def answer(line: Connection, frame: bytes) -> None:
        line.defer().on_closed = lambda: told.append("gone")

    handler.answer = answer
    feed(connection, framed(b"wait"))
    connection.connection_lost(None)
    assert told == ["gone"]
