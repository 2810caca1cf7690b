"""One connection with a transport that only remembers: framing, order of replies, back-pressure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from mainstem.broker.connection import OUT_BYTES_MAX, Connection
from mainstem.broker.memory import Memory
from mainstem.broker.receive_buffer import BUFFER_BYTES_START, SMALL_READS_BEFORE_SHRINK
from mainstem.broker.reply import ReplySlot


class Transport:
    """What asyncio gives a protocol, reduced to what the connection calls."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_reading = True
        self.is_closed = False
        self.unsent = 0

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

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Handler:
    """Notes every frame; `answer` decides what happens with it."""

    frame_bytes_max = 1 << 20

    def __init__(self) -> None:
        self.memory = Memory(request_bytes_max=4 << 20)
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
    assert handler.memory.request_bytes == len(connection._buffer.data) - BUFFER_BYTES_START > 0
    for _ in range(SMALL_READS_BEFORE_SHRINK + 1):
        feed(connection, framed(b"small"))
    assert len(connection._buffer.data) == BUFFER_BYTES_START
    assert handler.memory.request_bytes == 0


async def test_announced_bytes_cost_nothing_before_they_come(connection: Connection, handler: Handler) -> None:
    feed(connection, struct.pack(">i", 1 << 20) + b"the beginning")
    assert len(connection._buffer.data) == BUFFER_BYTES_START
    feed(connection, b"x" * 100_000)
    assert len(connection._buffer.data) <= 4 * 100_000


async def test_quiet_connection_gives_its_memory_back(connection: Connection, handler: Handler) -> None:
    feed(connection, framed(b"x" * 900_000))
    connection.give_memory_back()
    assert handler.memory.request_bytes == 0
    feed(connection, framed(b"next"))
    assert handler.frames[-1] == b"next"


async def test_half_requests_wait_where_memory_has_run_out_and_go_on_when_there_is_some(handler: Handler) -> None:
    """Eight clients are in the middle of a megabyte each, four megabytes are allowed: some wait, all are served in the end."""
    handler.memory = Memory(request_bytes_max=4 << 20)
    request = framed(b"x" * ((1 << 20) - 10))
    lines = []
    for _ in range(8):
        transport = Transport()
        line = Connection(handler, "PLAINTEXT")
        line.connection_made(transport)  # type: ignore[arg-type]
        lines.append((line, transport, bytearray(request)))
    most = 0
    for _ in range(1000):
        for line, transport, left in lines:
            if transport.is_reading and left:
                # All but the last byte first: nobody is finished while the others still want memory.
                others = any(len(rest) > 1 for _, t, rest in lines if t.is_reading)
                view = line.get_buffer(-1)
                size = min(50_000, len(left) - 1, len(view)) if others else 1
                if size:
                    view[:size] = left[:size]
                    line.buffer_updated(size)
                    del left[:size]
            most = max(most, handler.memory.request_bytes)
        for line, _, _ in lines:
            line.give_memory_back()
        if not any(left for _, _, left in lines):
            break
    assert len(handler.frames) == 8
    assert most <= 6 << 20
    for line, _, _ in lines:
        line.connection_lost(None)
    assert handler.memory.request_bytes == 0


async def test_unsent_replies_are_counted_and_make_fetches_smaller(
    connection: Connection, handler: Handler, transport: Transport
) -> None:
    handler.answer = lambda line, frame: line.send((b"reply",))
    transport.unsent = 200 << 20
    connection.pause_writing()
    assert handler.memory.reply_bytes == 200 << 20
    assert handler.memory.fetch_bytes(50 << 20) == 1 << 20
    transport.unsent = 0
    connection.resume_writing()
    assert handler.memory.reply_bytes == 0
    assert handler.memory.fetch_bytes(50 << 20) == 50 << 20


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
