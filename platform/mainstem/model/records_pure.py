"""Records inside a batch in pure Python: zigzag varints, keys, values, headers. Source: Kafka's `DefaultRecord`, 4.1."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.model.batch import HEADER_BYTES, BatchHeader
from mainstem.model.columns import Columns, Headers
from mainstem.model.compression import CorruptRecords, decompress


def write_varint(out: bytearray, value: int) -> None:
    """Zigzag variable-length integer, as in protocol buffers."""
    value = (value << 1) ^ (value >> 63)
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    byte = data[position]
    position += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
        if shift > 63:
            raise CorruptRecords("a variable-length integer is longer than 10 bytes")


def encode_records(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
    *,
    offset_deltas: Sequence[int] | None = None,
    base_timestamp: int | None = None,
) -> bytes:
    """Offset deltas are 0, 1, 2 … and the base timestamp is the first record's where nothing else is given."""
    out = bytearray()
    base = timestamps[0] if base_timestamp is None else base_timestamp
    for index, (key, value, timestamp) in enumerate(zip(keys, values, timestamps, strict=True)):
        record = bytearray(b"\0")
        write_varint(record, timestamp - base)
        write_varint(record, index if offset_deltas is None else offset_deltas[index])
        for part in (key, value):
            if part is None:
                record.append(1)
            else:
                write_varint(record, len(part))
                record += part
        pairs = headers[index] if headers else ()
        write_varint(record, len(pairs))
        for name, content in pairs:
            raw = name.encode()
            write_varint(record, len(raw))
            record += raw
            if content is None:
                record.append(1)
            else:
                write_varint(record, len(content))
                record += content
        write_varint(out, len(record))
        out += record
    return bytes(out)


def _read_bytes(data: bytes, position: int) -> tuple[bytes | None, int]:
    size, position = read_varint(data, position)
    if size == -1:
        return None, position
    end = position + size
    if size < 0 or end > len(data):
        raise CorruptRecords(f"a key, value or header says {size} bytes, {len(data) - position} are left")
    return data[position:end], end


def decode_batch(raw: bytes, header: BatchHeader, columns: Columns) -> None:
    """Append the records of one whole batch. Raises: CorruptRecords."""
    data = decompress(header.codec, memoryview(raw)[HEADER_BYTES:])
    position = 0
    try:
        for _ in range(header.records_count):
            size, position = read_varint(data, position)
            end = position + size
            position += 1
            timestamp_delta, position = read_varint(data, position)
            offset_delta, position = read_varint(data, position)
            key, position = _read_bytes(data, position)
            value, position = _read_bytes(data, position)
            count, position = read_varint(data, position)
            if count < 0 or count > len(data) - position:
                raise CorruptRecords(f"a record says {count} headers")
            pairs = []
            for _ in range(count):
                name, position = _read_bytes(data, position)
                content, position = _read_bytes(data, position)
                pairs.append(((name or b"").decode(), content))
            if position != end:
                raise CorruptRecords("a record is not as long as it says")
            columns.offsets.append(header.base_offset + offset_delta)
            stamped = header.max_timestamp if header.is_log_append_time else header.base_timestamp + timestamp_delta
            columns.timestamps.append(stamped)
            columns.keys.append(key)
            columns.values.append(value)
            columns.headers.append(pairs)
    except (IndexError, UnicodeDecodeError) as error:
        raise CorruptRecords(f"records are cut off or garbled: {error}") from None
