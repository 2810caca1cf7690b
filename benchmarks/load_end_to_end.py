"""From the moment a record is handed to the socket until a consumer that waits for it has it, at a fixed rate."""

import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import replace

import wire
import wire_newer
from cells import KILOBYTE, MEBIBYTE, Job
from exchange import Exchange, Tally
from load_fetch import new_fetch
from load_produce import Producer, check_answers, new_producer
from wire import FetchLimits, ProducerState, TopicName

_RECORDS_PER_S = 1_000
_WAIT_MS = 500
_BUFFER_BYTES = 4 * MEBIBYTE


class Rate:
    """One connection that sends at a fixed rate whatever is unanswered, one that waits at the end of the partition.

    Waits with select, the only call of Python's that is exact to less than a millisecond.
    """

    def __init__(self, job: Job, topic: TopicName, tally: Tally) -> None:
        first = Producer(replace(job, cell=replace(job.cell, encoding="older")), topic, 0, Tally())
        first.prime()
        first.socket.close()
        self._metronome = Metronome(job, topic)
        self._tail = Tail(job, topic, tally)
        for each in (self._metronome, self._tail):
            each.socket.setblocking(False)
        self._next_at = 0.0

    @property
    def in_session(self) -> bool:
        return self._tail.in_session

    def run(self, seconds: float, is_done: Callable[[], bool] = lambda: False) -> None:
        del is_done
        by_socket: dict[socket.socket, Exchange] = {each.socket: each for each in (self._tail, self._metronome)}
        now = time.perf_counter()
        ends = now + seconds
        if not self._next_at:
            self._tail.begin()
            self._next_at = now
        while (now := time.perf_counter()) < ends:
            if now >= self._next_at:
                self._metronome.tick()
                self._next_at += 1 / _RECORDS_PER_S
                continue
            for each in select.select(by_socket, [], [], self._next_at - now)[0]:
                by_socket[each].on_events(select.EPOLLIN)


class Metronome(Exchange):
    """Sends a record of a kilobyte a tick, each with the time it was sent."""

    def __init__(self, job: Job, topic: TopicName) -> None:
        super().__init__(job.bootstrap, 64 * 1024)
        self._topic = topic
        self._acks = job.cell.acks
        self._older = job.cell.encoding == "older"
        self._answer = wire.produce_7_answer(topic) if self._older else wire_newer.produce_13_answer()
        self._producer = wire.NO_PRODUCER if self._older else new_producer(self)
        self._filler = wire.random_values(1, KILOBYTE - 8)[0]

    def tick(self) -> None:
        value = struct.pack(">d", time.perf_counter()) + self._filler
        producer = self._producer
        batch = wire.record_batch([value], int(time.time() * 1_000), producer)
        encode = wire.produce_7 if self._older else wire_newer.produce_13
        if self.unsent:
            self.on_events(select.EPOLLOUT)
        self.write([encode(self._topic, 0, self._acks, batch)])
        if not self._older:
            self._producer = ProducerState(producer.producer_id, producer.epoch, producer.sequence + 1)

    def on_filled(self) -> None:
        count = self.filled // self._answer.frame_bytes
        if count:
            check_answers(self.buffer, count, self._answer)
            self.consume(count * self._answer.frame_bytes)


class Tail(Exchange):
    """Waits at the end of a partition and notes how long ago each record that comes was sent."""

    def __init__(self, job: Job, topic: TopicName, tally: Tally) -> None:
        super().__init__(job.bootstrap, _BUFFER_BYTES)
        self._fetch = new_fetch(job.cell, topic, 0, FetchLimits(max_bytes=MEBIBYTE, max_wait_ms=_WAIT_MS))
        self._offset = 1
        self._tally = tally

    @property
    def in_session(self) -> bool:
        return self._fetch.in_session

    def begin(self) -> None:
        self.write([self._fetch.at(self._offset)])

    def on_filled(self) -> None:
        size = 4 + int.from_bytes(self.buffer[:4], "big")
        if self.filled < size:
            return
        now = time.perf_counter()
        records = self._fetch.records(self.view[:size])
        at = 0
        while at + wire.STAMP_AT + 8 <= len(records):
            base_offset, length = struct.unpack_from(">qi", records, at)
            (sent_at,) = struct.unpack_from(">d", records, at + wire.STAMP_AT)
            self._tally.add(now - sent_at, 1, 1, KILOBYTE)
            self._offset = base_offset + 1
            at += 12 + length
        self.consume(size)
        self.begin()
