"""Records of one stored batch one by one, and the batch made again of some of them. For compaction and validation.

Unlike `model.records.decode` this keeps the batch: its offsets may have gaps, it may be empty, and it is bounded when it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast

from mainstem.model import records_pure
from mainstem.model.batch import (
    COMPRESSION_MASK,
    DELETE_HORIZON_BIT,
    HEADER_BYTES,
    MAGIC,
    BatchHeader,
    build,
)
from mainstem.model.columns import Columns, Headers
from mainstem.model.compression import Codec, CorruptRecords, compress, decompress
from mainstem.model.ids import NO_PRODUCER_ID
from mainstem.model.records import BATCH_BYTES_MAX, COMPILED_RECORDS_MIN, compiled_builder, compiled_reader

DECOMPRESSED_BYTES_MAX = 100 * 1024 * 1024
"""What an uncompressed request may carry (the default of `socket.request.max.bytes`), a compressed batch may become."""


class BatchRecord(Protocol):
    """Both readers' records have these; timestamps in ms."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class PureRecord(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def read_records(batch: bytes | memoryview, header: BatchHeader) -> Sequence[BatchRecord]:
    """All records of one whole batch; none of an emptied one. Raises: CorruptRecords."""
    if header.records_count == 0:
        return ()
    plain = header._replace(attributes=header.attributes & ~COMPRESSION_MASK)
    if header.codec == Codec.NONE:
        raw = bytes(batch)
    else:
        raw = build(plain, decompress(header.codec, memoryview(batch)[HEADER_BYTES:], bytes_max=DECOMPRESSED_BYTES_MAX))
    reader = compiled_reader()
    if reader is None or header.records_count < COMPILED_RECORDS_MIN:
        columns = Columns(offsets=[], timestamps=[], keys=[], values=[], headers=[])
        records_pure.decode_batch(raw, plain, columns)
        rows = zip(columns.offsets, columns.timestamps, columns.keys, columns.values, columns.headers, strict=True)
        return [PureRecord(*row) for row in rows]
    try:
        return cast("Sequence[BatchRecord]", list(reader(raw)))
    except Exception as error:
        raise CorruptRecords(f"records do not decode: {error}") from error


def rebuild(
    header: BatchHeader,
    records: Sequence[BatchRecord],
    *,
    delete_horizon_ms: int = -1,
    recompress: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """The batch with only these of its records (at least one): same offsets, sequences, codec and timestamps.

    A delete horizon takes the place of the base timestamp (KIP-534). Source: Kafka's `MemoryRecords.filterTo`, 4.1.
    """
    base_timestamp = records[0].timestamp if delete_horizon_ms < 0 else delete_horizon_ms
    attributes = header.attributes & ~DELETE_HORIZON_BIT
    if delete_horizon_ms >= 0:
        attributes |= DELETE_HORIZON_BIT
    data = _encode(header.base_offset, records, base_timestamp)
    newest = header.max_timestamp if header.is_log_append_time else max(r.timestamp for r in records)
    return build(
        header._replace(
            attributes=attributes, base_timestamp=base_timestamp, max_timestamp=newest, records_count=len(records)
        ),
        compress(Codec(header.codec), data) if recompress is None else recompress(data),
    )


def _encode(base_offset: int, records: Sequence[BatchRecord], base_timestamp: int) -> bytes:
    builder = compiled_builder() if len(records) >= COMPILED_RECORDS_MIN else None
    if builder is None or records[0].timestamp != base_timestamp:
        return records_pure.encode_records(
            [r.key for r in records],
            [r.value for r in records],
            [r.timestamp for r in records],
            [r.headers for r in records],
            offset_deltas=[r.offset - base_offset for r in records],
            base_timestamp=base_timestamp,
        )
    batch: Any = builder(MAGIC, Codec.NONE, 0, NO_PRODUCER_ID, -1, -1, BATCH_BYTES_MAX)
    append = batch.append
    for r in records:
        append(r.offset - base_offset, r.timestamp, r.key, r.value, r.headers)
    return bytes(batch.build())[HEADER_BYTES:]


def emptied(header: BatchHeader) -> bytes:
    """The batch without records, which keeps its offsets and its producer's last sequence.

    Source: Kafka's `DefaultRecordBatch.writeEmptyHeader`, 4.1.
    """
    attributes = header.attributes & ~(COMPRESSION_MASK | DELETE_HORIZON_BIT)
    return build(header._replace(attributes=attributes, base_timestamp=-1, records_count=0), b"")
