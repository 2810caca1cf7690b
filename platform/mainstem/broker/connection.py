"""One client: bytes in, frames handled in place, replies out in request order.

Every complete frame in the buffer is handled before one write of all replies; a frame is a memoryview into the buffer that is
valid while it is being handled.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import Protocol, cast

from mainstem.broker.context import RequestContext
from mainstem.broker.memory import Memory
from mainstem.broker.receive_buffer import ReceiveBuffer
from mainstem.broker.reply import Buffers, FastLane, ReplySlot

PENDING_REPLIES_MAX = 1000
CONTEXTS_KEPT = 64
OUT_BYTES_MAX = 64 << 10
"""A client that leaves more of its replies unread is not read itself, and what it leaves is counted."""
LANES_MAX = 8

_LENGTH = struct.Struct(">i")


class FrameHandler(Protocol):
    """`broker.dispatch`, as the connection sees it."""

    frame_bytes_max: int
    memory: Memory

    def handle(self, connection: Connection, frame: memoryview) -> None: ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection, reason: str | None) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """Owned by the loop. Reading stops while a handler holds the line (`hold`), while too many replies are pending, while the
    client does not take its replies, and while there is no memory for a larger buffer."""

    def __init__(self, handler: FrameHandler, listener: str) -> None:
        self.listener = listener
        self.client_host = ""
        self.local_host = ""
        self.local_port = 0
        self.contexts: dict[tuple[int, bytes], RequestContext] = {}
        self._last_active = 0.0
        self._is_active = True
        self._lanes: list[FastLane] = []
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._memory = handler.memory
        self._buffer = ReceiveBuffer(handler.memory, handler.frame_bytes_max)
        self._pending: deque[ReplySlot] = deque()
        self._out: list[bytes | bytearray | memoryview] = []
        self._out_bytes = 0
        self._is_handling = False
        self._is_write_scheduled = False
        self._holds = 0
        self._is_write_paused = False
        self._is_reading_paused = False
        self._is_starved = False
        self._unsent_bytes = 0
        self._reason: str | None = None

    # ----------------------------------------------------------------------------------------------- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        self.client_host = str(peer[0]) if peer else "?"
        self.local_host, self.local_port = (str(local[0]), int(local[1])) if local else ("127.0.0.1", 0)
        self._transport.set_write_buffer_limits(high=OUT_BYTES_MAX)
        self._handler.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        pending, self._pending = self._pending, deque()
        for slot in pending:
            if slot.on_closed is not None:
                slot.on_closed()
        self._out.clear()
        self._buffer.release()
        self._count_unsent(0)
        self._handler.closed(self, self._reason)

    def get_buffer(self, sizehint: int) -> memoryview:
        buffer = self._buffer
        return buffer.view[buffer.end :] if buffer.end < len(buffer.data) else buffer.room()

    def buffer_updated(self, nbytes: int) -> None:
        self._buffer.end += nbytes
        self._is_active = True
        self._handle_frames()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._is_write_paused = True
        if self._transport is not None:
            self._count_unsent(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._is_write_paused = False
        if self._transport is not None:
            self._count_unsent(self._transport.get_write_buffer_size())
        self._handle_frames()

    # ----------------------------------------------------------------------------------------------------------- frames

    def _handle_frames(self) -> None:
        self._is_handling = True
        needed = 0
        buffer = self._buffer
        while self._transport is not None and not (
            self._holds or self._is_write_paused or len(self._pending) >= PENDING_REPLIES_MAX
        ):
            start = buffer.start
            available = buffer.end - start
            if available < 4:
                break
            if self._lanes:
                end = self._lanes[0].take(self, buffer.data, buffer.view, start, buffer.end)
                if end != start:
                    buffer.start = end
                    continue
                if len(self._lanes) > 1 and self._take_other_lane(start):
                    continue
            (size,) = _LENGTH.unpack_from(buffer.data, start)
            if size < 0 or size > self._handler.frame_bytes_max:
                self.abort(f"a request says it has {size} bytes; {self._handler.frame_bytes_max} are allowed")
                break
            if available - 4 < size:
                needed = size + 4
                break
            buffer.start = start + 4 + size
            self._handler.handle(self, buffer.view[start + 4 : start + 4 + size])
            if self._out_bytes > OUT_BYTES_MAX:
                # Many small requests can ask for much more than fits: the client takes this much before the next is read.
                self._write()
        self._is_handling = False
        buffer.tidy(needed)
        if buffer.end or self._is_reading_paused:
            self._pause_or_resume_reading()
        if self._out:
            self._write()

    def _take_other_lane(self, start: int) -> bool:
        """Whether one of the other lanes has answered what stands at `start`; it is asked first from then on."""
        buffer = self._buffer
        for slot in range(1, len(self._lanes)):
            end = self._lanes[slot].take(self, buffer.data, buffer.view, start, buffer.end)
            if end != start:
                buffer.start = end
                self._lanes.insert(0, self._lanes.pop(slot))
                return True
        return False

    def add_lane(self, lane: FastLane) -> None:
        """Requests like the one just handled will come again."""
        self._lanes.insert(0, lane)
        del self._lanes[LANES_MAX:]

    def drop_lanes(self) -> None:
        """From now on every request goes to its handler."""
        self._lanes.clear()

    def give_memory_back(self) -> None:
        """Called when the connection has been quiet for a while."""
        if self._buffer.is_idle and not self._is_handling:
            self._buffer.shrink()

    def _pause_or_resume_reading(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        buffer = self._buffer
        starved = buffer.is_full and not self._grow_buffer()
        # With nothing left to handle one more request may come: most clients send it only when they have their reply.
        wanted = starved or (
            buffer.is_mid_frame
            and (bool(self._holds) or self._is_write_paused or len(self._pending) >= PENDING_REPLIES_MAX)
        )
        if wanted and not self._is_reading_paused:
            self._transport.pause_reading()
        elif not wanted and self._is_reading_paused:
            self._transport.resume_reading()
        self._is_reading_paused = wanted

    def _grow_buffer(self) -> bool:
        """Before the next bytes come, so that the limit is kept by those who would pass it."""
        if self._memory.may_grow():
            self._buffer.grow()
            return True
        if not self._is_starved:
            self._is_starved = True
            self._memory.when_free(self._fed)
        return False

    def _fed(self) -> None:
        """There is memory again."""
        self._is_starved = False
        self._pause_or_resume_reading()

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
        if not self._is_handling:
            self._schedule_write()

    def send_one(self, reply: bytes | bytearray) -> None:
        """`send` for a reply in one piece."""
        if self._pending:
            self.send((reply,))
            return
        self._out.append(reply)
        self._out_bytes += len(reply)
        if not self._is_handling:
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
        self._is_active = True
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
        out, transport = self._out, self._transport
        if not out or transport is None:
            return
        self._out = []
        size, self._out_bytes = self._out_bytes, 0
        if len(out) == 1:
            transport.write(out[0])
        else:
            transport.writelines(out)
        if size > OUT_BYTES_MAX or self._unsent_bytes:
            self._count_unsent(transport.get_write_buffer_size())

    def _count_unsent(self, size: int) -> None:
        """What is below the mark is not counted: nobody tells when it has left."""
        size = size if size > OUT_BYTES_MAX else 0
        self._memory.reply_bytes += size - self._unsent_bytes
        self._unsent_bytes = size

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

    def quiet_s(self, now: float) -> float:
        """Seconds since anything came or went, to the precision of these calls: reading a clock for each read costs more."""
        if self._is_active:
            self._is_active = False
            self._last_active = now
        return now - self._last_active

    @property
    def is_idle(self) -> bool:
        return not self._pending and self._holds == 0

    @property
    def is_mid_frame(self) -> bool:
        """A request has begun and is not there yet, and the client is the one to send the rest."""
        return self._buffer.is_mid_frame and not self._is_reading_paused
