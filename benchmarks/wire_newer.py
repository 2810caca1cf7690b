"""Produce 13 with sequences and Fetch 18 in a session, by topic id: what a client of Kafka 4.1 sends."""

import struct
import time
from functools import cache

import crc32c
from wire import (
    BATCH_HEADER_BYTES,
    CRC_COVERS_FROM,
    CRC_STARTS,
    FETCH,
    PRODUCE,
    PRODUCE_TIMEOUT_MS,
    SEQUENCE_STARTS,
    FetchLimits,
    ProduceAnswer,
    ProducerState,
    TopicName,
    framed,
    record_batch,
    unsigned_varint,
)

_INT32 = struct.Struct(">i")
_UINT32 = struct.Struct(">I")
_ONE = unsigned_varint(1 + 1)
_NONE = unsigned_varint(0 + 1)
_NULL = unsigned_varint(0)
_NO_TAGS = b"\x00"
_LOW_BITS = 16


def produce_13(topic: TopicName, partition: int, acks: int, batch: bytes) -> bytes:
    """A whole Produce 13 frame for one partition."""
    body = _NULL + struct.pack(">hi", acks, PRODUCE_TIMEOUT_MS) + _ONE + topic.topic_id + _ONE
    body += _INT32.pack(partition) + unsigned_varint(len(batch) + 1) + batch + 3 * _NO_TAGS
    return framed(PRODUCE, 13, body, flexible=True)


def produce_13_answer() -> ProduceAnswer:
    # length, correlation id, tags | topics, id | partitions, index, error ... | record errors, message, 2 x tags
    error_at = 4 + 4 + 1 + 1 + 16 + 1 + 4
    return ProduceAnswer(error_at, error_at + 2 + 8 + 8 + 8 + 1 + 1 + 1 + 1 + 4 + 1)


@cache
def _checksum_changes(bytes_after: int) -> tuple[list[int], list[int]]:
    """What the sequence changes in a CRC-32C that goes on for `bytes_after` bytes, for its lower and its upper half.

    A CRC is linear: crc(a xor b) = crc(a) xor crc(b) xor crc(zeros), so the change is the xor of those of the bits.
    """
    nothing = crc32c.crc32c(bytes(4 + bytes_after))
    of_bits = [crc32c.crc32c(bytes(bytes_after), crc32c.crc32c(_UINT32.pack(1 << bit))) ^ nothing for bit in range(32)]
    return _all_sums(of_bits[:_LOW_BITS]), _all_sums(of_bits[_LOW_BITS:-1])


def _all_sums(of_bits: list[int]) -> list[int]:
    sums = [0]
    for change in of_bits:
        sums += [each ^ change for each in sums]
    return sums


class SequencedFrames:
    """A ring of equal Produce 13 frames; each time one is taken it gets the next sequence and its checksum.

    A frame may be taken again once its answer has come: the ring has as many as may be in flight.
    """

    def __init__(
        self, topic: TopicName, partition: int, acks: int, values: list[bytes], producer: ProducerState, slots: int
    ) -> None:
        # Of this moment: records of long ago would be deleted by retention while the job runs.
        timestamp_ms = int(time.time() * 1_000)
        batch = record_batch(values, timestamp_ms, ProducerState(producer.producer_id, producer.epoch, 0))
        frame = produce_13(topic, partition, acks, batch)
        batch_at = frame.index(batch[:BATCH_HEADER_BYTES])
        self.answer = produce_13_answer()
        self.frame_bytes = len(frame)
        self.batch_bytes = len(batch)
        self.sequence = producer.sequence
        self._records = len(values)
        self._slots = slots
        self._next_slot = 0
        self._ring = bytearray(frame * slots)
        self._view = memoryview(self._ring)
        self._crc_at = batch_at + CRC_STARTS
        self._sequence_at = batch_at + SEQUENCE_STARTS
        self._crc_of_zero = crc32c.crc32c(batch[CRC_COVERS_FROM:])
        self._lower, self._upper = _checksum_changes(len(batch) - SEQUENCE_STARTS - 4)

    def take(self, count: int) -> list[memoryview]:
        """The next `count` frames, in one or two pieces."""
        sequence, slot, size = self.sequence, self._next_slot, self.frame_bytes
        ring, lower, upper, base = self._ring, self._lower, self._upper, self._crc_of_zero
        pack_into = _UINT32.pack_into
        for index in range(slot, slot + count):
            at = index % self._slots * size
            pack_into(ring, at + self._crc_at, base ^ lower[sequence & 0xFFFF] ^ upper[sequence >> _LOW_BITS])
            pack_into(ring, at + self._sequence_at, sequence)
            sequence = (sequence + self._records) & 0x7FFFFFFF
        self.sequence = sequence
        end = slot + count
        self._next_slot = end % self._slots
        if end <= self._slots:
            return [self._view[slot * size : end * size]]
        return [self._view[slot * size :], self._view[: (end - self._slots) * size]]

    def was_refused(self) -> None:
        """The broker did not take the last request: the next one has the same sequence."""
        self.sequence -= self._records


class Fetch18:
    """Joins a fetch session when the broker offers one, and asks for everything anew each time when it does not.

    In a session the partition is listed in every request, because its offset changes with each.
    """

    def __init__(self, topic: TopicName, partition: int, limits: FetchLimits) -> None:
        start = struct.pack(">iiib", limits.max_wait_ms, limits.min_bytes, limits.max_bytes, 0)
        self._session_at = len(framed(FETCH, 18, start, flexible=True))
        row = start + bytes(8) + _ONE + topic.topic_id + _ONE + struct.pack(">ii", partition, -1)
        self._offset_at = len(framed(FETCH, 18, row, flexible=True))
        body = row + struct.pack(">qiqi", 0, -1, -1, limits.max_bytes) + 2 * _NO_TAGS + _NONE + _NONE + _NO_TAGS
        self._frame = bytearray(framed(FETCH, 18, body, flexible=True))
        self._session_id = 0
        self._epoch = 0

    @property
    def in_session(self) -> bool:
        return self._session_id != 0

    def at(self, offset: int) -> bytes:
        struct.pack_into(">ii", self._frame, self._session_at, self._session_id, self._epoch)
        struct.pack_into(">q", self._frame, self._offset_at, offset)
        return bytes(self._frame)

    def records(self, answer: memoryview) -> memoryview:
        # length, correlation id, tags, throttle | error, session | topics, id | partitions, index | error ...
        error, session_id = struct.unpack_from(">hi", answer, 13)
        if error:
            raise ValueError(f"Fetch was answered with error {error}")
        if self._session_id and session_id != self._session_id:
            raise ValueError(f"session {self._session_id} was answered as session {session_id}")
        self._session_id = session_id
        self._epoch = self._epoch + 1 if session_id else 0
        if answer[19] == 1:
            return answer[:0]
        (partition_error,) = struct.unpack_from(">h", answer, 41)
        if partition_error:
            raise ValueError(f"Fetch was answered with error {partition_error} for the partition")
        aborted, at = read_unsigned_varint(answer, 41 + 2 + 8 + 8 + 8)
        at += 17 * max(aborted - 1, 0) + 4
        size, at = read_unsigned_varint(answer, at)
        return answer[at : at + max(size - 1, 0)]


def read_unsigned_varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    value = 0
    for shift in range(0, 35, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a varint longer than 5 bytes")
