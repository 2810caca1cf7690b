"""Records as columns: what pipelines, tools and coordinators work on. The broker's own path never comes here.

Decoding and encoding use aiokafka's compiled record reader and builder (it comes with faust-streaming), loaded on first
use, with a pure fallback in `model.records_pure` that a test holds equal to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstem.model import records_pure
from mainstem.model.batch import BatchHeader, build, iterate
from mainstem.model.columns import Columns, Headers
from mainstem.model.compression import Codec, CorruptRecords, compress
from mainstem.model.ids import NO_PRODUCER_ID

_compiled: Any = None
_compiled_tried = False


def compiled_reader() -> Any:
    """aiokafka's `DefaultRecordBatch`, or None where its extension is missing."""
    global _compiled, _compiled_tried  # noqa: PLW0603 - one lazy import for the process
    if not _compiled_tried:
        _compiled_tried = True
        try:
            from aiokafka.record._crecords.default_records import DefaultRecordBatch
        except ImportError:
            _compiled = None
        else:
            _compiled = DefaultRecordBatch
    return _compiled


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
    offsets, timestamps = columns.offsets.append, columns.timestamps.append
    keys, values, headers = columns.keys.append, columns.values.append, columns.headers.append
    try:
        for record in reader(raw):
            offsets(record.offset)
            timestamps(record.timestamp)
            keys(record.key)
            values(record.value)
            headers(record.headers)
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
