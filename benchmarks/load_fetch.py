"""Fetch requests: one in flight on each connection, through a partition from its beginning to its end, over and over."""

import time
from dataclasses import replace

import wire
import wire_newer
from cells import MEBIBYTE, Cell, Job
from exchange import Exchange, Loop, Tally
from load_produce import DRAIN_TIMEOUT_S, Producer
from wire import Fetch, FetchLimits, TopicName, UniformBatches

_FILL_BYTES = 128 * MEBIBYTE
_FILL_IN_FLIGHT = 16
_BUFFER_BYTES = 4 * MEBIBYTE


def new_fetch(cell: Cell, topic: TopicName, partition: int, limits: FetchLimits) -> Fetch:
    kind = wire.Fetch11 if cell.encoding == "older" else wire_newer.Fetch18
    return kind(topic, partition, limits)


def fetchers(job: Job, topic: TopicName, tally: Tally) -> list["Fetcher"]:
    """Fill the partitions and open a connection for each."""
    opened = []
    for partition in range(job.cell.connections):
        filled = fill(job, topic, partition, _FILL_BYTES // job.cell.connections)
        opened.append(Fetcher(job, topic, partition, tally, filled))
    return opened


def fill(job: Job, topic: TopicName, partition: int, size: int) -> "Filled":
    """Write at least `size` bytes of records into a partition."""
    tally = Tally()
    writing = replace(job, cell=replace(job.cell, kind="produce", in_flight=_FILL_IN_FLIGHT, encoding="older"))
    producer = Producer(writing, topic, partition, tally)
    producer.prime()
    tally.counting = True
    loop = Loop([producer])
    producer.begin()
    loop.run(DRAIN_TIMEOUT_S, lambda: tally.bytes >= size)
    producer.sending = False
    loop.run(DRAIN_TIMEOUT_S, lambda: not producer.in_flight)
    assert not producer.in_flight, "the topic could not be filled"
    producer.socket.close()
    batches = UniformBatches(producer.frames.batch_bytes, job.cell.records_per_request)
    return Filled(batches, tally.records + job.cell.records_per_request)


class Filled:
    """A partition that holds equal batches up to `end_offset`."""

    def __init__(self, batches: UniformBatches, end_offset: int) -> None:
        self.batches = batches
        self.end_offset = end_offset


class Fetcher(Exchange):
    """Reads a partition from its beginning to its end, over and over, one request in flight."""

    def __init__(self, job: Job, topic: TopicName, partition: int, tally: Tally, filled: Filled) -> None:
        super().__init__(job.bootstrap, _BUFFER_BYTES)
        self._fetch = new_fetch(job.cell, topic, partition, FetchLimits(max_bytes=job.cell.fetch_bytes))
        self._filled = filled
        self._offset = 0
        self._sent_at = 0.0
        self._tally = tally

    @property
    def in_session(self) -> bool:
        return self._fetch.in_session

    def begin(self) -> None:
        self._sent_at = time.perf_counter()
        self.write([self._fetch.at(self._offset)])

    def on_filled(self) -> None:
        size = 4 + int.from_bytes(self.buffer[:4], "big")
        if self.filled < size:
            return
        batches = self._filled.batches
        count = batches.count(self._fetch.records(self.view[:size]), self._offset)
        records = count * batches.records_per_batch
        self._tally.add(time.perf_counter() - self._sent_at, 1, records, count * batches.batch_bytes)
        self.consume(size)
        self._offset += records
        if self._offset >= self._filled.end_offset:
            self._offset = 0
        self.begin()
