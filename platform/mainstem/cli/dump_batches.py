"""`.log` files for `mainstem dump-log`: batches, and the records in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mainstem.cli.dump_lines import DumpError, Findings, Line
from mainstem.model import records_pure
from mainstem.model.batch import HEADER_BYTES, BatchHeader, crc_matches, read_header
from mainstem.model.columns import Columns
from mainstem.model.compression import CorruptRecords

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
DELETE_HORIZON_BIT = 0x40
SEQUENCE_MASK = 0x7FFFFFFF
_MARKER_KEY = struct.Struct(">hh")
_MARKER_VALUE = struct.Struct(">hi")
_MARKERS = {0: "ABORT", 1: "COMMIT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    prints_records: bool = False
    looks_at_records: bool = False
    has_metadata: bool = True
    decodes_offsets: bool = False
    decodes_transactions: bool = False
    bytes_max: int | None = None


def dump_batches(path: Path, options: BatchOptions, findings: Findings) -> Iterator[Line]:
    """Raises: DumpError, OSError."""
    size = path.stat().st_size
    if options.bytes_max is not None:
        size = min(size, options.bytes_max)
    base_offset = _base_offset(path)
    yield Line(f"Log starting offset: {base_offset}", {"log_starting_offset": base_offset})
    position, last_offset = 0, -1
    with path.open("rb") as file:
        while (batch := read_batch(file, position, size)) is not None:
            header = read_header(batch)
            yield _batch_line(header, position, crc_matches(batch, 0, header))
            if options.looks_at_records:
                columns = _decoded(path, batch, header, position)
                for slot, offset in enumerate(columns.offsets):
                    if last_offset >= 0 and offset != last_offset + 1:
                        text = f"{last_offset} is followed by {offset}"
                        findings.add("Non-consecutive offsets in {}", path.absolute().as_posix(), text)
                    last_offset = offset
                    yield record_line(header, columns, slot, options)
            position += header.size
    if position < size and options.bytes_max is None:
        left = size - position
        yield Line(f"Found {left} invalid bytes at the end of {path.name}", {"invalid_bytes_at_end": left})


def read_batch(file: BinaryIO, position: int, end: int) -> bytes | None:
    """The whole batch at `position` of a file of `end` bytes, None if there is none."""
    file.seek(position)
    head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        return None
    size = read_header(head).size
    if size < HEADER_BYTES or position + size > end:
        return None
    return head + file.read(size - HEADER_BYTES)


def _base_offset(path: Path) -> int:
    try:
        return int(path.name.partition(".")[0])
    except ValueError:
        raise DumpError(str(path), "the name of a log file begins with its base offset") from None


def _decoded(path: Path, batch: bytes, header: BatchHeader, position: int) -> Columns:
    columns = Columns(offsets=[], timestamps=[], keys=[], values=[], headers=[])
    try:
        records_pure.decode_batch(batch, header, columns)
    except CorruptRecords as error:
        raise DumpError(str(path), f"the records of the batch at byte {position} cannot be read: {error}") from error
    return columns


def _batch_line(header: BatchHeader, position: int, is_valid: bool) -> Line:
    horizon = (
        f"OptionalLong[{header.base_timestamp}]" if header.attributes & DELETE_HORIZON_BIT else "OptionalLong.empty"
    )
    facts: dict[str, object] = {
        "baseOffset": header.base_offset,
        "lastOffset": header.last_offset,
        "count": header.records_count,
        "baseSequence": header.base_sequence,
        "lastSequence": header.last_sequence,
        "producerId": header.producer_id,
        "producerEpoch": header.producer_epoch,
        "partitionLeaderEpoch": header.leader_epoch,
        "isTransactional": header.is_transactional,
        "isControl": header.is_control,
        "deleteHorizonMs": horizon,
        "position": position,
        _time_type(header): header.max_timestamp,
        "size": header.size,
        "magic": header.magic,
        "compresscodec": CODECS[header.codec] if header.codec < len(CODECS) else str(header.codec),
        "crc": header.crc,
        "isvalid": is_valid,
    }
    return Line(" ".join(f"{name}: {_text(value)}" for name, value in facts.items()), facts)


def _time_type(header: BatchHeader) -> str:
    return "LogAppendTime" if header.is_log_append_time else "CreateTime"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def record_line(header: BatchHeader, columns: Columns, slot: int, options: BatchOptions) -> Line:
    key, value = columns.keys[slot], columns.values[slot]
    facts: dict[str, object] = {}
    parts = []
    if options.has_metadata:
        offset = columns.offsets[slot]
        sequence = (header.base_sequence + offset - header.base_offset) & SEQUENCE_MASK
        facts = {
            "offset": offset,
            _time_type(header): columns.timestamps[slot],
            "keySize": -1 if key is None else len(key),
            "valueSize": -1 if value is None else len(value),
            "sequence": sequence if header.base_sequence >= 0 else -1,
            "headerKeys": [name for name, _ in columns.headers[slot]],
        }
        parts = [f"{name}: {fact}" for name, fact in facts.items() if name != "headerKeys"]
        parts.append(f"headerKeys: [{','.join(name for name, _ in columns.headers[slot])}]")
        if header.is_control:
            marker = _marker(key, value)
            facts |= marker
            parts += [f"{name}: {fact}" for name, fact in marker.items()]
    if options.prints_records and not header.is_control:
        contents = _contents(key, value, options)
        facts |= contents
        parts += [f"{name}: {fact}" for name, fact in contents.items()]
    return Line(" ".join(["|", *parts]) if parts else "", facts)


def _marker(key: bytes | None, value: bytes | None) -> dict[str, object]:
    if key is None or len(key) < _MARKER_KEY.size or value is None or len(value) < _MARKER_VALUE.size:
        return {}
    kind = _MARKERS.get(_MARKER_KEY.unpack_from(key)[1])
    if kind is None:
        return {"controlType": _MARKER_KEY.unpack_from(key)[1]}
    return {"endTxnMarker": kind, "coordinatorEpoch": _MARKER_VALUE.unpack_from(value)[1]}


def _contents(key: bytes | None, value: bytes | None, options: BatchOptions) -> dict[str, object]:
    if options.decodes_offsets or options.decodes_transactions:
        from mainstem.cli.dump_offsets import OFFSETS, TRANSACTIONS, decoded_contents

        return decoded_contents(OFFSETS if options.decodes_offsets else TRANSACTIONS, key, value)
    found = (("key", key), ("payload", value))
    return {name: content.decode("utf-8", "replace") for name, content in found if content is not None}
