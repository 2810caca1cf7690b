"""The load generator: a process of its own that reads one job from standard input and prints what it measured.

One event loop, one connection object each, no request encoded while it runs. Latency is from the moment a request
is handed to the socket until its whole answer is there.
"""

import asyncio
import gc
import json
import os
import struct
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable
from typing import cast

import uvloop
import wire
from cells import KILOBYTE, MEBIBYTE, Job

_CONNECT_TIMEOUT_S = 30.0
_PRIME_ATTEMPTS = 600
_RETRIABLE = {3, 5, 6, 7}  # unknown topic, leader not available, not the leader, request timed out
_FETCH_FILL_BYTES = 256 * MEBIBYTE
_END_TO_END_RECORDS_PER_S = 1_000
_END_TO_END_WAIT_MS = 500


class Exchange(asyncio.BufferedProtocol):
    """A connection that hands every complete answer frame, as a view into its buffer, to `on_answer`."""

    def __init__(self, buffer_bytes: int) -> None:
        self._buffer = bytearray(buffer_bytes)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self.transport: asyncio.Transport | None = None
        self.sending = False
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def on_answer(self, frame: memoryview) -> None:
        raise NotImplementedError

    def on_answers_done(self) -> None:
        """Called once after all answers of one read."""

    def begin(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        assert self.transport is not None, "not connected"
        self.sending = False
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of the kind without being registered as such.
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)

    def get_buffer(self, size_hint: int) -> memoryview:
        if self._filled == len(self._buffer):
            raise AssertionError(f"an answer larger than {len(self._buffer)} bytes")
        return self._view[self._filled :]

    def buffer_updated(self, received: int) -> None:
        filled, at = self._filled + received, 0
        view = self._view
        while filled - at >= 4:
            end = at + 4 + int.from_bytes(view[at : at + 4], "big")
            if end > filled:
                break
            self.on_answer(view[at:end])
            at = end
        if at:
            view[: filled - at] = view[at:filled]
        self._filled = filled - at
        self.on_answers_done()


class Tally:
    """What all connections of a job have done since the warm-up ended."""

    def __init__(self) -> None:
        self.counting = False
        self.requests = 0
        self.records = 0
        self.bytes = 0
        self.latencies_s = array("d")
        self.bytes_ever = 0

    def add(self, latency_s: float, records: int, size: int) -> None:
        self.bytes_ever += size
        if self.counting:
            self.requests += 1
            self.records += records
            self.bytes += size
            self.latencies_s.append(latency_s)


class Producer(Exchange):
    """Keeps a fixed number of the same Produce request in flight."""

    def __init__(self, job: Job, partition: int, tally: Tally) -> None:
        super().__init__(64 * 1024)
        cell = job.cell
        values = wire.random_values(cell.records_per_request, KILOBYTE)
        batch = wire.record_batch(values, int(time.time() * 1_000))
        self._request = wire.produce_request(job.topic, partition, cell.acks, batch)
        self._answer = wire.ProduceAnswer.of(job.topic)
        self._many = memoryview(self._request * cell.in_flight)
        self._records = cell.records_per_request
        self._batch_bytes = cell.records_per_request * KILOBYTE
        self._in_flight = cell.in_flight
        self._sent_at: deque[float] = deque()
        self._to_send = 0
        self._idle = asyncio.Event()
        self._tally = tally
        self.first_error: asyncio.Future[int] | None = None

    async def prime(self) -> None:
        """Produce once, trying again while the new topic has no leader yet."""
        for _ in range(_PRIME_ATTEMPTS):
            self.first_error = asyncio.get_running_loop().create_future()
            self._send(1)
            error = await self.first_error
            if error not in _RETRIABLE:
                break
            await asyncio.sleep(0.02)
        self.first_error = None
        if error:
            raise ValueError(f"Produce was answered with error {error}")

    def begin(self) -> None:
        self.sending = True
        self._send(self._in_flight)

    async def drained(self) -> None:
        """Wait until everything sent has been answered."""
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await self._idle.wait()

    def _send(self, count: int) -> None:
        assert self.transport is not None, "not connected"
        now = time.perf_counter()
        self._sent_at.extend([now] * count)
        self.transport.write(self._many[: count * len(self._request)])

    def on_answer(self, frame: memoryview) -> None:
        error = int.from_bytes(frame[self._answer.error_at : self._answer.error_at + 2], "big")
        sent_at = self._sent_at.popleft()
        if self.first_error is not None:
            self.first_error.set_result(error)
        elif error or len(frame) != self._answer.frame_bytes:
            raise ValueError(f"Produce was answered with error {error}")
        else:
            self._tally.add(time.perf_counter() - sent_at, self._records, self._batch_bytes)
            self._to_send += 1

    def on_answers_done(self) -> None:
        count, self._to_send = self._to_send, 0
        if count and self.sending:
            self._send(count)
        if not self._sent_at:
            self._idle.set()


class Fetcher(Exchange):
    """Reads a partition from its beginning to `end_offset`, over and over, one request in flight."""

    def __init__(self, job: Job, partition: int, tally: Tally, end_offset: int) -> None:
        super().__init__(4 * MEBIBYTE)
        self._fetch = wire.fetch_request(job.topic, partition, max_bytes=MEBIBYTE, min_bytes=1, max_wait_ms=500)
        self._end_offset = end_offset
        self._offset = 0
        self._sent_at = 0.0
        self._tally = tally

    def begin(self) -> None:
        self.sending = True
        self._send()

    def _send(self) -> None:
        assert self.transport is not None, "not connected"
        self._sent_at = time.perf_counter()
        self.transport.write(self._fetch.at(self._offset))

    def on_answer(self, frame: memoryview) -> None:
        batches = wire.walk_batches(self._fetch.records(frame), self._offset)
        self._tally.add(time.perf_counter() - self._sent_at, batches.records, batches.bytes)
        self._offset = batches.next_offset if batches.next_offset < self._end_offset else 0
        if self.sending:
            self._send()


class Tail(Exchange):
    """Waits at the end of a partition and notes how long ago each record that comes was sent."""

    def __init__(self, job: Job, tally: Tally) -> None:
        super().__init__(4 * MEBIBYTE)
        self._fetch = wire.fetch_request(job.topic, 0, max_bytes=MEBIBYTE, min_bytes=1, max_wait_ms=_END_TO_END_WAIT_MS)
        self._offset = 1
        self._tally = tally

    def begin(self) -> None:
        self.sending = True
        self._send()

    def _send(self) -> None:
        assert self.transport is not None, "not connected"
        self.transport.write(self._fetch.at(self._offset))

    def on_answer(self, frame: memoryview) -> None:
        now = time.perf_counter()
        records = self._fetch.records(frame)
        at = 0
        while at + wire.STAMP_AT + 8 <= len(records):
            base_offset, length = struct.unpack_from(">qi", records, at)
            (sent_at,) = struct.unpack_from(">d", records, at + wire.STAMP_AT)
            self._tally.add(now - sent_at, 1, KILOBYTE)
            self._offset = base_offset + 1
            at += 12 + length
        if self.sending:
            self._send()


class Metronome(Exchange):
    """Sends one record of a kilobyte at a fixed rate, each with the time it was sent, whatever is unanswered."""

    def __init__(self, job: Job) -> None:
        super().__init__(64 * 1024)
        self._job = job
        self._filler = wire.random_values(1, KILOBYTE - 8)[0]
        self._answer = wire.ProduceAnswer.of(job.topic)
        self._next_at = 0.0

    def begin(self) -> None:
        self.sending = True
        self._next_at = asyncio.get_running_loop().time()
        self._tick()

    def _tick(self) -> None:
        if not self.sending:
            return
        assert self.transport is not None, "not connected"
        value = struct.pack(">d", time.perf_counter()) + self._filler
        batch = wire.record_batch([value], int(time.time() * 1_000))
        self.transport.write(wire.produce_request(self._job.topic, 0, self._job.cell.acks, batch))
        self._next_at += 1 / _END_TO_END_RECORDS_PER_S
        asyncio.get_running_loop().call_at(self._next_at, self._tick)

    def on_answer(self, frame: memoryview) -> None:
        error = int.from_bytes(frame[self._answer.error_at : self._answer.error_at + 2], "big")
        if error:
            raise ValueError(f"Produce was answered with error {error}")


async def connect(protocol: Exchange, bootstrap: str) -> None:
    host, port = bootstrap.rsplit(":", 1)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        await loop.create_connection(lambda: protocol, host, int(port))


async def produce(job: Job) -> dict[str, float]:
    tally = Tally()
    producers = [Producer(job, partition, tally) for partition in range(job.cell.connections)]
    for producer in producers:
        await connect(producer, job.bootstrap)
        await producer.prime()
    return await measure(job, tally, producers, producers)


async def fetch(job: Job) -> dict[str, float]:
    fetchers, tally = [], Tally()
    for partition in range(job.cell.connections):
        end_offset = await fill(job, partition, _FETCH_FILL_BYTES // job.cell.connections)
        fetchers.append(Fetcher(job, partition, tally, end_offset))
        await connect(fetchers[-1], job.bootstrap)
    return await measure(job, tally, fetchers, fetchers)


async def fill(job: Job, partition: int, size: int) -> int:
    """Write `size` bytes of records into a partition and return its end offset."""
    tally = Tally()
    producer = Producer(job, partition, tally)
    await connect(producer, job.bootstrap)
    await producer.prime()
    tally.counting = True
    producer.begin()
    while tally.bytes < size:
        assert not producer.lost.done(), "the broker closed the connection while the topic was filled"
        await asyncio.sleep(0.01)
    producer.sending = False
    await producer.drained()
    producer.close()
    return tally.records + job.cell.records_per_request


async def end_to_end(job: Job) -> dict[str, float]:
    tally = Tally()
    first, tail, metronome = Producer(job, 0, Tally()), Tail(job, tally), Metronome(job)
    await connect(first, job.bootstrap)
    await first.prime()
    for each in (tail, metronome):
        await connect(each, job.bootstrap)
    return await measure(job, tally, [tail, metronome], [first, tail, metronome])


async def measure(job: Job, tally: Tally, starting: list[Exchange], connections: list[Exchange]) -> dict[str, float]:
    """Start the connections, wait for the warm-up, count for the time of the job, stop."""
    for connection in starting:
        connection.begin()
    await run_for(job.warm_up_s, connections)
    tally.counting = True
    began, cpu_began, broker_began = time.perf_counter(), time.process_time(), cpu_seconds(job.broker_pid)
    writes = job.cell.kind == "produce"
    await run_for(job.seconds, connections, lambda: writes and tally.bytes_ever >= job.bytes_max)
    tally.counting = False
    elapsed = time.perf_counter() - began
    broker_cores = (cpu_seconds(job.broker_pid) - broker_began) / elapsed
    generator_cores = (time.process_time() - cpu_began) / elapsed
    for connection in connections:
        connection.close()
    latencies_ms = sorted(1_000 * each for each in tally.latencies_s)
    assert latencies_ms, "nothing was answered in the time of the measurement"
    return {
        "seconds": elapsed,
        "requests_per_s": tally.requests / elapsed,
        "records_per_s": tally.records / elapsed,
        "megabytes_per_s": tally.bytes / elapsed / 1e6,
        "p50_ms": latencies_ms[len(latencies_ms) // 2],
        "p99_ms": latencies_ms[len(latencies_ms) * 99 // 100],
        "broker_cores": broker_cores,
        "generator_cores": generator_cores,
    }


async def run_for(seconds: float, connections: list[Exchange], is_enough: Callable[[], bool] = lambda: False) -> None:
    """Let the connections work.

    Raises:
        ConnectionError: one was lost; its cause is what the broker answered, if it answered with an error.
    """
    ends = time.perf_counter() + seconds
    while (left := ends - time.perf_counter()) > 0 and not is_enough():
        for connection in connections:
            if connection.lost.done():
                raise ConnectionError("a connection was lost") from connection.lost.result()
        await asyncio.sleep(min(left, 0.05))


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used so far, in user and in kernel mode."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    job = Job.from_json(json.load(sys.stdin))
    work = {"produce": produce, "fetch": fetch, "end-to-end": end_to_end}[job.cell.kind]
    # The collector would stop the clock for nothing: the job makes no cycles worth collecting.
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(work(job))
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
