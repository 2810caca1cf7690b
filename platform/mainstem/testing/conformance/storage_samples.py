"""What the storage checks are made of: batches with a place in the log, and ways to look at all of them."""

from __future__ import annotations

from collections.abc import Callable

from mainstem.api.storage import BatchSpan, LogStore, PartitionLog
from mainstem.model import records
from mainstem.model.batch import iterate, patch_offset, read_header
from mainstem.model.ids import TopicId, TopicPartition

MakeStore = Callable[[], LogStore]
PARTITION = TopicPartition("orders", 0)
TOPIC_ID = TopicId(bytes(range(16)))


def batch_at(offset: int, count: int = 1, timestamp: int = 1000, payload: bytes = b"v") -> bytearray:
    """A record batch with that place in the log."""
    keys: list[bytes | None] = [b"k"] * count
    values: list[bytes | None] = [payload] * count
    batch = bytearray(records.encode(keys, values, [timestamp] * count))
    patch_offset(batch, 0, offset, 0)
    return batch


def span_of(batch: bytes | bytearray) -> BatchSpan:
    header = read_header(batch)
    return BatchSpan(len(batch), header.base_offset, header.last_offset, header.max_timestamp)


def append(log: PartitionLog, batch: bytearray) -> None:
    log.append((batch,), (span_of(batch),))


def offsets_in(data: bytes | bytearray | memoryview) -> list[int]:
    return [header.base_offset for _, header in iterate(data)]


def filled(make_store: MakeStore, count: int = 10, size: int = 1) -> tuple[LogStore, PartitionLog]:
    store = make_store()
    log = store.open_log(PARTITION, TOPIC_ID)
    for offset in range(0, count * size, size):
        append(log, batch_at(offset, size, timestamp=1000 + offset))
    return store, log


def in_segments(
    make_store: MakeStore, *segments: tuple[int, ...], timestamp: int = 1000
) -> tuple[LogStore, PartitionLog]:
    """Batches of one record at the given offsets, each with `timestamp` + its offset; a segment starts at its first one."""
    store = make_store()
    log = store.open_log(PARTITION, TOPIC_ID)
    for slot, offsets in enumerate(segments):
        if slot:
            log.roll(offsets[0])
        for offset in offsets:
            append(log, batch_at(offset, timestamp=timestamp + offset))
    return store, log


def read_all(log: PartitionLog, max_bytes: int = 1 << 20) -> list[int]:
    """Base offsets of all batches, as a reader meets them that goes on after the last whole batch of each answer."""
    found: list[int] = []
    offset = log.segments()[0].base_offset
    while offset < log.end_offset:
        data = log.read(offset, log.end_offset, max_bytes)
        headers = [header for _, header in iterate(data)]
        if not headers:
            assert not data, "the first batch of an answer is whole"
            break
        assert headers[0].last_offset >= offset, "a read starts at its offset or after it"
        found += [header.base_offset for header in headers]
        offset = headers[-1].next_offset
    return found


def assert_sizes_agree(log: PartitionLog) -> None:
    segments = log.segments()
    assert log.size == sum(segment.size for segment in segments)
    assert log.active_size() == segments[-1].size
