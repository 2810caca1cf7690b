"""Produce requests: a fixed number in flight on each connection, or as many as the socket takes where nothing is answered."""

import select
import time
from collections import deque
from typing import Protocol

import wire
import wire_newer
import wire_setup
from cells import KILOBYTE, Cell, Job
from exchange import Exchange, Tally
from wire import ProduceAnswer, ProducerState, TopicName

DRAIN_TIMEOUT_S = 30.0
_ATTEMPTS = 600
_RETRY_S = 0.02
_ANSWERS_BYTES = 256 * 1024
_FLOOD_BYTES = 128 * 1024
# unknown topic, leader not available, not the leader, timed out, coordinator loading or not there, unknown topic id
_RETRIABLE = {3, 5, 6, 7, 14, 15, 100}


def open_topic(job: Job) -> TopicName:
    """The topic of the job with its id, once the broker knows it."""
    exchange = Exchange(job.bootstrap, 0)
    for _ in range(_ATTEMPTS):
        error, topic_id = wire_setup.read_topic_id(exchange.ask(wire_setup.metadata_request(job.topic)))
        if error not in _RETRIABLE:
            break
        time.sleep(_RETRY_S)
    exchange.socket.close()
    if error:
        raise ValueError(f"Metadata answered with error {error}")
    return TopicName(job.topic, topic_id)


def new_producer(exchange: Exchange) -> ProducerState:
    """A producer id of its own, as each idempotent producer has one."""
    for _ in range(_ATTEMPTS):
        error, producer = wire_setup.read_producer(exchange.ask(wire_setup.init_producer_id_request()))
        if error not in _RETRIABLE:
            break
        time.sleep(_RETRY_S)
    if error:
        raise ValueError(f"InitProducerId was answered with error {error}")
    return producer


class Frames(Protocol):
    """Requests for one partition, each ready to be sent."""

    answer: ProduceAnswer
    frame_bytes: int
    batch_bytes: int

    def take(self, count: int) -> list[memoryview]: ...

    def was_refused(self) -> None: ...


class EqualFrames:
    """The same Produce 7 frame again and again."""

    def __init__(self, topic: TopicName, partition: int, acks: int, values: list[bytes], slots: int) -> None:
        batch = wire.record_batch(values, int(time.time() * 1_000))
        frame = wire.produce_7(topic, partition, acks, batch)
        self.answer = wire.produce_7_answer(topic)
        self.frame_bytes = len(frame)
        self.batch_bytes = len(batch)
        self._many = memoryview(frame * slots)

    def take(self, count: int) -> list[memoryview]:
        return [self._many[: count * self.frame_bytes]]

    def was_refused(self) -> None:
        pass


def new_frames(
    cell: Cell, topic: TopicName, partition: int, producer: ProducerState, *, acks: int, slots: int
) -> Frames:
    values = wire.random_values(cell.records_per_request, KILOBYTE)
    if cell.encoding == "older":
        return EqualFrames(topic, partition, acks, values, slots)
    return wire_newer.SequencedFrames(topic, partition, acks, values, producer, slots)


class Producer(Exchange):
    """Keeps a fixed number of Produce requests in flight."""

    def __init__(self, job: Job, topic: TopicName, partition: int, tally: Tally) -> None:
        super().__init__(job.bootstrap, _ANSWERS_BYTES)
        cell = job.cell
        producer = new_producer(self) if cell.encoding == "newer" else wire.NO_PRODUCER
        self.frames = new_frames(cell, topic, partition, producer, acks=cell.acks, slots=cell.in_flight)
        self.sending = True
        self.in_flight = 0
        self._wanted = cell.in_flight
        self._sent: deque[tuple[float, int]] = deque()
        self._records = cell.records_per_request
        self._bytes = cell.records_per_request * KILOBYTE
        self._tally = tally

    def prime(self) -> int:
        """Produce once, trying again while the new topic has no leader yet; returns its base offset."""
        return prime(self, self.frames)

    def begin(self) -> None:
        self._send(self._wanted)

    def _send(self, count: int) -> None:
        self.in_flight += count
        pieces = self.frames.take(count)
        self._sent.append((time.perf_counter(), count))
        self.write(pieces)

    def on_filled(self) -> None:
        size = self.frames.answer.frame_bytes
        count = self.filled // size
        if not count:
            return
        now = time.perf_counter()
        check_answers(self.buffer, count, self.frames.answer)
        self.consume(count * size)
        left = count
        while left:
            sent_at, sent = self._sent[0]
            answered = min(sent, left)
            self._tally.add(now - sent_at, answered, answered * self._records, answered * self._bytes)
            left -= answered
            if answered == sent:
                self._sent.popleft()
            else:
                self._sent[0] = (sent_at, sent - answered)
        self.in_flight -= count
        if self.sending:
            self._send(count)


def prime(exchange: Exchange, frames: Frames) -> int:
    """Produce one request and return its base offset.

    Raises:
        ValueError: the broker answered with an error that does not go away.
    """
    error_at = frames.answer.error_at - 4
    for _ in range(_ATTEMPTS):
        answer = exchange.ask(b"".join(frames.take(1)))
        error = int.from_bytes(answer[error_at : error_at + 2], "big")
        if error not in _RETRIABLE:
            break
        frames.was_refused()
        time.sleep(_RETRY_S)
    if error:
        raise ValueError(f"Produce was answered with error {error}")
    assert len(answer) + 4 == frames.answer.frame_bytes, "an answer to Produce of an unexpected size"
    return int.from_bytes(answer[error_at + 2 : error_at + 10], "big")


def check_answers(buffer: bytearray, count: int, answer: ProduceAnswer) -> None:
    """All answers at the start of the buffer are of the expected size and say that nothing went wrong.

    Looks at the same byte of each answer at once: a loop over them would cost more than all the rest.

    Raises:
        ValueError: one of them names an error.
    """
    size = answer.frame_bytes
    end, length = count * size, size - 4
    lengths = buffer[2:end:size], buffer[3:end:size]
    errors = buffer[answer.error_at : end : size], buffer[answer.error_at + 1 : end : size]
    equal = lengths[0].count(length >> 8) == count and lengths[1].count(length & 0xFF) == count
    if equal and errors[0].count(0) == count and errors[1].count(0) == count:
        return
    found = {high << 8 | low for high, low in zip(*errors, strict=True)} - {0}
    raise ValueError(f"Produce was answered with errors {sorted(found)}, answer begins {bytes(buffer[:size]).hex()}")


class Flood(Exchange):
    """Sends requests with acks=0 as fast as the socket takes them."""

    def __init__(self, job: Job, topic: TopicName, partition: int) -> None:
        super().__init__(job.bootstrap, _ANSWERS_BYTES)
        cell = job.cell
        producer = new_producer(self) if cell.encoding == "newer" else wire.NO_PRODUCER
        self.bytes_ever = 0
        self.requests = 0
        self._records = cell.records_per_request
        self._chunk = max(1, _FLOOD_BYTES // (cell.records_per_request * KILOBYTE))
        self._frames = new_frames(cell, topic, partition, producer, acks=0, slots=self._chunk)
        self._last = new_frames(cell, topic, partition, producer, acks=1, slots=1)
        self._flooding = False
        self._settling = False

    @property
    def is_settled(self) -> bool:
        return not self._flooding and not self._settling

    def prime(self) -> None:
        prime(self, self._last)
        self.requests += 1
        self._pass_on(self._last, self._frames)

    def begin(self) -> None:
        self._flooding = True
        self.on_writable()

    def on_writable(self) -> None:
        if not self._flooding:
            return
        self.requests += self._chunk
        self.bytes_ever += self._chunk * self._records * KILOBYTE
        self.write(self._frames.take(self._chunk))
        # One chunk a turn, so that no connection keeps the others from theirs.
        self.watch(self, select.EPOLLIN | select.EPOLLOUT)

    def settle(self) -> None:
        """Stop, and ask for one answer behind everything that was sent."""
        self._flooding, self._settling = False, True
        self._pass_on(self._frames, self._last)
        self.requests += 1
        self.write(self._last.take(1))

    def on_filled(self) -> None:
        answer = self._last.answer
        if self.filled < answer.frame_bytes:
            return
        check_answers(self.buffer, 1, answer)
        base_offset = int.from_bytes(self.buffer[answer.base_offset_at : answer.base_offset_at + 8], "big")
        appended = base_offset // self._records + 1
        assert appended == self.requests, f"{self.requests} requests were sent, {appended} were appended"
        self.consume(answer.frame_bytes)
        self._settling = False
        self._pass_on(self._last, self._frames)

    def _pass_on(self, before: Frames, after: Frames) -> None:
        if isinstance(before, wire_newer.SequencedFrames) and isinstance(after, wire_newer.SequencedFrames):
            after.sequence = before.sequence
