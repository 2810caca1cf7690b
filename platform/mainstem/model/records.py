"""Records as columns: what pipelines, tools and coordinators work on. The broker's own path never comes here.

Decoding and encoding use aiokafka's compiled record reader and builder (it comes with faust-streaming), loaded on first
use, with a pure fallback in `model.records_pure` that a test holds equal to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstem.model import records_pure
from mainstem.model.batch import HEADER_BYTES, MAGIC, BatchHeader, build, iterate
from mainstem.model.columns import Columns, Headers
from mainstem.model.compression import Codec, CorruptRecords, compress
from mainstem.model.ids import NO_PRODUCER_ID

BATCH_BYTES_MAX = 0x7FFFFFFF
COMPILED_RECORDS_MIN = 32

_compiled: Any = None
_compiled_builder: Any = None
_compiled_tried = False


def compiled_reader() -> Any:
    """aiokafka's `DefaultRecordBatch`, or None where its extension is missing."""
    _load_compiled()
    return _compiled


def compiled_builder() -> Any:
    """aiokafka's `DefaultRecordBatchBuilder`, or None where its extension is missing."""
    _load_compiled()
    return _compiled_builder


def _load_compiled() -> None:
    global _compiled, _compiled_builder, _compiled_tried  # noqa: PLW0603 - one lazy import for the process
    if not _compiled_tried:
        _compiled_tried = True
        try:
            from aiokafka.record._crecords.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
        except ImportError:
            return
        _compiled, _compiled_builder = DefaultRecordBatch, DefaultRecordBatchBuilder


def decode(data: bytes | memoryview, *, from_offset: int = 0, limit: int | None = None) -> Columns:
    """Columns of all whole batches in `data` (as a Fetch returns them), without control batches and offsets below
    `from_offset`; stops after the batch in which `limit` is reached.

    Raises: CorruptRecords.
    """
    columns = Columns(offsets=[], timestamps=[], keys=[], values=[], headers=[])
    reader = compiled_reader()
    for position, header in iterate(data):
        if header.is_control or header.last_offset < from_offset:
            continue
        raw = bytes(memoryview(data)[position : position + header.size])
        if reader is None:
            records_pure.decode_batch(raw, header, columns)
        else:
            _decode_compiled(reader, raw, columns)
        if limit is not None and len(columns) >= limit:
            break
    if columns.offsets and columns.offsets[0] < from_offset:
        _drop_below(columns, from_offset)
    return columns


def _decode_compiled(reader: Any, raw: bytes, columns: Columns) -> None:
    try:
        records = list(reader(raw))
        columns.offsets += [record.offset for record in records]
        columns.timestamps += [record.timestamp for record in records]
        columns.keys += [record.key for record in records]
        columns.values += [record.value for record in records]
        columns.headers += [record.headers for record in records]
    except Exception as error:
        raise CorruptRecords(f"records do not decode: {error}") from error


def _drop_below(columns: Columns, from_offset: int) -> None:
    keep = next((i for i, offset in enumerate(columns.offsets) if offset >= from_offset), len(columns.offsets))
    for name in ("offsets", "timestamps", "keys", "values", "headers"):
        del getattr(columns, name)[:keep]


def encode(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None = None,
    *,
    codec: Codec = Codec.NONE,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    attributes: int = 0,
) -> bytes:
    """One record batch with base offset 0, ready for Produce. `timestamps` in ms, at least one record."""
    assert keys, "a batch holds at least one record"
    # A broker's coordinators write a few records at a time, for which it must not import aiokafka.
    records = _encode_compiled(keys, values, timestamps, headers) if len(keys) >= COMPILED_RECORDS_MIN else None
    if records is None:
        records = records_pure.encode_records(keys, values, timestamps, headers)
    return build(
        BatchHeader(
            base_offset=0,
            batch_length=0,
            leader_epoch=-1,
            magic=2,
            crc=0,
            attributes=attributes | codec,
            last_offset_delta=len(keys) - 1,
            base_timestamp=timestamps[0],
            max_timestamp=max(timestamps),
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            base_sequence=base_sequence,
            records_count=len(keys),
        ),
        compress(codec, records),
    )


def _encode_compiled(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
) -> bytes | None:
    """The records as the pure encoder writes them, at a fifth of its time; None where the extension is missing."""
    builder = compiled_builder()
    if builder is None:
        return None
    batch = builder(MAGIC, Codec.NONE, 0, NO_PRODUCER_ID, -1, -1, BATCH_BYTES_MAX)
    append, none = batch.append, list[tuple[str, bytes | None]]()
    for index, (key, value, timestamp) in enumerate(zip(keys, values, timestamps, strict=True)):
        append(index, timestamp, key, value, none if headers is None else list(headers[index]))
    return bytes(batch.build())[HEADER_BYTES:]
