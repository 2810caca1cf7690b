"""One client: bytes in, frames handled in place, replies out in request order.

Every complete frame in the buffer is handled before one write of all replies. The buffer starts small, grows to the frame and
shrinks again; a frame is a memoryview into it that is valid while it is being handled.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import Protocol, cast

from mainstem.broker.context import RequestContext
from mainstem.broker.reply import Buffers, FastLane, ReplySlot

BUFFER_BYTES_START = 16 * 1024
BUFFER_BYTES_KEPT = 256 * 1024
SMALL_READS_BEFORE_SHRINK = 64
PENDING_REPLIES_MAX = 1000
CONTEXTS_KEPT = 64
OUT_BYTES_MAX = 4 << 20
LANES_MAX = 8

_LENGTH = struct.Struct(">i")


class FrameHandler(Protocol):
    """`broker.dispatch`, as the connection sees it."""

    frame_bytes_max: int

    def handle(self, connection: Connection, frame: memoryview) -> None: ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection, reason: str | None) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """Owned by the loop. Reading stops while a handler holds the line (`hold`), while too many replies are pending, and while
    the client does not take its replies."""

    def __init__(self, handler: FrameHandler, listener: str) -> None:
        self.listener = listener
        self.client_host = ""
        self.local_host = ""
        self.local_port = 0
        self.contexts: dict[tuple[int, bytes], RequestContext] = {}
        self.last_active = 0.0
        self._lanes: list[FastLane] = []
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(BUFFER_BYTES_START)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._small_reads = 0
        self._pending: deque[ReplySlot] = deque()
        self._out: list[bytes | bytearray | memoryview] = []
        self._out_bytes = 0
        self._is_handling = False
        self._is_write_scheduled = False
        self._holds = 0
        self._is_write_paused = False
        self._is_reading_paused = False
        self._reason: str | None = None

    # ----------------------------------------------------------------------------------------------- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        self.client_host = str(peer[0]) if peer else "?"
        self.local_host, self.local_port = (str(local[0]), int(local[1])) if local else ("127.0.0.1", 0)
        self.last_active = self._loop.time()
        self._transport.set_write_buffer_limits(high=OUT_BYTES_MAX)
        self._handler.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        pending, self._pending = self._pending, deque()
        for slot in pending:
            if slot.on_closed is not None:
                slot.on_closed()
        self._out.clear()
        self._handler.closed(self, self._reason)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._end == len(self._buffer):
            self._make_room(len(self._buffer) * 2)
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._end += nbytes
        self._handle_frames()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._is_write_paused = True

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self._handle_frames()

    # ----------------------------------------------------------------------------------------------------------- frames

    def _handle_frames(self) -> None:
        self._is_handling = True
        needed = 0
        while self._transport is not None and not (
            self._holds or self._is_write_paused or len(self._pending) >= PENDING_REPLIES_MAX
        ):
            start = self._start
            available = self._end - start
            if available < 4:
                break
            if self._lanes and self._take_lane(start):
                continue
            (size,) = _LENGTH.unpack_from(self._buffer, start)
            if size < 0 or size > self._handler.frame_bytes_max:
                self.abort(f"a request says it has {size} bytes; {self._handler.frame_bytes_max} are allowed")
                break
            if available - 4 < size:
                needed = size + 4
                break
            self._start = start + 4 + size
            self._handler.handle(self, self._view[start + 4 : start + 4 + size])
            if self._out_bytes > OUT_BYTES_MAX:
                # Many small requests can ask for much more than fits: the client takes this much before the next is read.
                self._write()
        self._is_handling = False
        self._tidy_buffer(needed)
        self._pause_or_resume_reading()
        if self._out:
            self._write()

    def _take_lane(self, start: int) -> bool:
        """Whether one of the lanes has answered what stands at `start`."""
        for slot, lane in enumerate(self._lanes):
            end = lane.take(self, self._buffer, self._view, start, self._end)
            if end != start:
                self._start = end
                if slot:
                    self._lanes.insert(0, self._lanes.pop(slot))
                return True
        return False

    def add_lane(self, lane: FastLane) -> None:
        """Requests like the one just handled will come again."""
        self._lanes.insert(0, lane)
        del self._lanes[LANES_MAX:]

    def _tidy_buffer(self, needed: int) -> None:
        """Make room for the frame that has begun; give memory back when only small ones come."""
        left = self._end - self._start
        if needed > len(self._buffer) - self._start:
            self._make_room(max(needed, BUFFER_BYTES_START))
        elif left == 0:
            small = self._end < len(self._buffer) // 8
            self._start = self._end = 0
            if len(self._buffer) > BUFFER_BYTES_KEPT:
                self._replace_buffer(BUFFER_BYTES_KEPT)
            elif len(self._buffer) > BUFFER_BYTES_START:
                self._small_reads = self._small_reads + 1 if small else 0
                if self._small_reads >= SMALL_READS_BEFORE_SHRINK:
                    self._small_reads = 0
                    self._replace_buffer(BUFFER_BYTES_START)

    def _make_room(self, size: int) -> None:
        """A new buffer, never a resized one: handlers may still hold views of the old."""
        self._replace_buffer(min(max(size, self._end - self._start + 4), self._handler.frame_bytes_max + 4 + 16384))

    def _replace_buffer(self, size: int) -> None:
        left = self._view[self._start : self._end]
        buffer = bytearray(max(size, len(left) + 4))
        buffer[: len(left)] = left
        self._buffer, self._view = buffer, memoryview(buffer)
        self._start, self._end = 0, len(left)

    def _pause_or_resume_reading(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        wanted = bool(self._holds) or self._is_write_paused or len(self._pending) >= PENDING_REPLIES_MAX
        if wanted and not self._is_reading_paused:
            self._transport.pause_reading()
        elif not wanted and self._is_reading_paused:
            self._transport.resume_reading()
        self._is_reading_paused = wanted

    def hold(self) -> None:
        """Handle no further request until `release`: a coroutine is answering one."""
        self._holds += 1

    def release(self) -> None:
        self._holds -= 1
        if self._transport is not None and not self._is_handling:
            self._handle_frames()

    # ---------------------------------------------------------------------------------------------------------- replies

    def send(self, buffers: Buffers) -> None:
        if self._pending:
            slot = ReplySlot(self)
            slot.buffers = buffers
            self._pending.append(slot)
            return
        self._put(buffers)
        self._schedule_write()

    def _put(self, buffers: Buffers) -> None:
        self._out += buffers
        for buffer in buffers:
            self._out_bytes += len(buffer)

    def defer(self) -> ReplySlot:
        slot = ReplySlot(self)
        self._pending.append(slot)
        return slot

    def drain(self) -> None:
        pending = self._pending
        was_full = len(pending) >= PENDING_REPLIES_MAX
        while pending:
            buffers = pending[0].buffers
            if buffers is None:
                break
            pending.popleft()
            self._put(buffers)
        if self._out:
            self._schedule_write()
        if was_full and len(pending) < PENDING_REPLIES_MAX and not self._is_handling:
            self._loop.call_soon(self._handle_frames)

    def _schedule_write(self) -> None:
        """Replies that become ready in one turn of the loop leave in one write."""
        if not self._is_handling and not self._is_write_scheduled:
            self._is_write_scheduled = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._is_write_scheduled = False
        out = self._out
        if not out or self._transport is None:
            return
        self._out = []
        self._out_bytes = 0
        self.last_active = self._loop.time()
        if len(out) == 1:
            self._transport.write(out[0])
        else:
            self._transport.writelines(out)

    # ---------------------------------------------------------------------------------------------------------- closing

    def abort(self, reason: str) -> None:
        self._reason = reason
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def close(self) -> None:
        """Say goodbye: what is written already still goes out."""
        if self._transport is not None:
            self._write()
            self._transport.close()

    @property
    def is_idle(self) -> bool:
        return not self._pending and self._holds == 0
