"""Connections of the load generator: plain sockets in one loop, so that a request costs a few system calls and no more."""

import select
import socket
import struct
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

_CONNECT_TIMEOUT_S = 30.0
_POLL_S = 0.05


class Exchange:
    """A connection whose answers land in one buffer; what they mean is for `on_filled` to say."""

    def __init__(self, bootstrap: str, buffer_bytes: int) -> None:
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(buffer_bytes)
        self.view = memoryview(self.buffer)
        self.filled = 0
        self.unsent: list[memoryview] = []
        self.watch: Callable[[Exchange, int], None] = lambda exchange, events: None

    def ask(self, frame: bytes) -> bytes:
        """Send one request, wait for its answer and return it without its length; only before the loop has it."""
        (answer,) = self.ask_all([frame])
        return answer

    def ask_all(self, frames: Sequence[bytes]) -> list[bytes]:
        """Send some requests at once and return their answers; not more than the sockets hold."""
        self.socket.settimeout(_CONNECT_TIMEOUT_S)
        self.socket.sendall(b"".join(frames))
        answers = []
        for _ in frames:
            (size,) = struct.unpack(">i", self._receive(4))
            answers.append(self._receive(size))
        return answers

    def _receive(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            piece = self.socket.recv(size - len(received))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            received += piece
        return bytes(received)

    def begin(self) -> None:
        """Called once the loop has the connection."""

    def on_filled(self) -> None:
        """`filled` bytes of `buffer` hold what has been received and not been taken yet."""
        raise NotImplementedError

    def on_writable(self) -> None:
        """Everything has been handed to the system after it had refused some of it."""

    def write(self, pieces: Sequence[memoryview | bytes]) -> None:
        """Send now what the system takes and the rest as soon as it takes more."""
        if self.unsent:
            self.unsent += map(memoryview, pieces)
            return
        for index, piece in enumerate(pieces):
            try:
                sent = self.socket.send(piece)
            except BlockingIOError:
                sent = 0
            if sent < len(piece):
                self.unsent = [memoryview(piece)[sent:], *map(memoryview, pieces[index + 1 :])]
                self.watch(self, select.EPOLLIN | select.EPOLLOUT)
                return

    def on_events(self, events: int) -> None:
        if events & select.EPOLLOUT:
            unsent, self.unsent = self.unsent, []
            self.write(unsent)
            if not self.unsent:
                self.watch(self, select.EPOLLIN)
                self.on_writable()
        if events & ~select.EPOLLOUT:
            try:
                received = self.socket.recv_into(self.view[self.filled :])
            except BlockingIOError:
                return
            if not received:
                raise ConnectionError("the broker closed a connection")
            self.filled += received
            self.on_filled()

    def consume(self, size: int) -> None:
        """The first `size` bytes of the buffer have been taken."""
        rest = self.filled - size
        if rest:
            self.view[:rest] = self.view[size : self.filled]
        self.filled = rest


class Loop:
    """Waits for all connections at once."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._poll = select.epoll()
        self._by_file: dict[int, Exchange] = {}
        for exchange in exchanges:
            exchange.socket.setblocking(False)
            exchange.watch = lambda each, events: self._poll.modify(each.socket.fileno(), events)
            self._by_file[exchange.socket.fileno()] = exchange
            self._poll.register(exchange.socket.fileno(), select.EPOLLIN)

    def run(self, seconds: float, is_done: Callable[[], bool] = lambda: False) -> None:
        """Let the connections work for so long, or until it is done.

        Raises:
            ConnectionError: the broker closed one.
        """
        now = time.perf_counter
        ends, poll, by_file = now() + seconds, self._poll.poll, self._by_file
        while (left := ends - now()) > 0 and not is_done():
            for file, events in poll(left if left < _POLL_S else _POLL_S):
                by_file[file].on_events(events)


class Tally:
    """What all connections of a job have done since the warm-up ended."""

    def __init__(self) -> None:
        self.counting = False
        self.requests = 0
        self.records = 0
        self.bytes = 0
        self.bytes_ever = 0
        self._latencies_s = array("d")
        self._counts = array("l")

    def add(self, latency_s: float, requests: int, records: int, size: int) -> None:
        """`requests` that were sent and answered together, with all their records and bytes."""
        self.bytes_ever += size
        if self.counting:
            self.requests += requests
            self.records += records
            self.bytes += size
            self._latencies_s.append(latency_s)
            self._counts.append(requests)

    def latencies_ms(self) -> list[float]:
        """One for each request, the shortest first."""
        pairs = sorted(zip(self._latencies_s, self._counts, strict=True))
        return [1_000 * latency for latency, count in pairs for _ in repeat(None, count)]


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The value that `fraction` of the ordered values do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]
