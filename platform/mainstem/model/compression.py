"""Kafka's codecs over cramjam, in the framings that the Java client writes and reads."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

import cramjam

XERIAL_MAGIC = b"\x82SNAPPY\x00"
XERIAL_BLOCK_BYTES = 32 * 1024
_INT32 = struct.Struct(">i")


class Codec(IntEnum):
    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class CorruptRecords(ValueError):
    """Records that do not decompress or decode."""


class RecordsTooLarge(CorruptRecords):
    """Records that would decompress to more than the caller has room for."""


def codec_of(name: str) -> Codec:
    """`none`, `gzip`, `snappy`, `lz4`, `zstd`. Raises: ValueError naming what is allowed."""
    try:
        return Codec[name.upper()]
    except KeyError:
        allowed = ", ".join(c.name.lower() for c in Codec)
        raise ValueError(f"compression {name!r} is not one of {allowed}") from None


def compress(codec: Codec, data: bytes, level: int | None = None) -> bytes:
    """`level` in the codec's own scale; None, and -1 of gzip, is the library's choice. snappy has none."""
    match codec:
        case Codec.NONE:
            return data
        case Codec.GZIP:
            return bytes(cramjam.gzip.compress(data, None if level == -1 else level))
        case Codec.SNAPPY:
            return _xerial(data)
        case Codec.LZ4:
            return bytes(cramjam.lz4.compress(data, level))
        case Codec.ZSTD:
            return bytes(cramjam.zstd.compress(data, level))


def decompress(codec: int, data: bytes | memoryview, *, bytes_max: int | None = None) -> bytes:
    """At most `bytes_max` bytes. Raises: CorruptRecords, RecordsTooLarge."""
    try:
        match codec:
            case Codec.NONE:
                return bytes(data)
            case Codec.SNAPPY:
                return _unxerial(bytes(data), bytes_max)
            case Codec.GZIP | Codec.LZ4 | Codec.ZSTD:
                library = _LIBRARIES[codec]
                if bytes_max is None:
                    return bytes(library.decompress(data))
                return _decompress_within(library, data, bytes_max)
            case _:
                raise CorruptRecords(f"compression codec {codec} does not exist")
    except cramjam.DecompressionError as error:
        raise CorruptRecords(f"records do not decompress: {error}") from None


_LIBRARIES: dict[int, Any] = {Codec.GZIP: cramjam.gzip, Codec.LZ4: cramjam.lz4, Codec.ZSTD: cramjam.zstd}
_TOO_SMALL = "failed to write whole buffer"
_FIRST_GUESS_BYTES = 64 * 1024


def _decompress_within(library: Any, data: bytes | memoryview, bytes_max: int) -> bytes:
    """Into a buffer that grows while it is too small: a few bytes that claim to be gigabytes never get them."""
    room = min(bytes_max, max(_FIRST_GUESS_BYTES, 4 * len(data)))
    while True:
        buffer = bytearray(room)
        try:
            size = library.decompress_into(data, buffer)
        except cramjam.DecompressionError as error:
            if _TOO_SMALL not in str(error):
                raise
            if room >= bytes_max:
                raise RecordsTooLarge(f"records decompress to more than {bytes_max} bytes") from None
            room = min(bytes_max, room * 8)
        else:
            del buffer[size:]
            return bytes(buffer)


def _xerial(data: bytes) -> bytes:
    """snappy-java's stream: magic, version 1, compatible 1, then length-prefixed raw blocks."""
    parts = [XERIAL_MAGIC, struct.pack(">ii", 1, 1)]
    for start in range(0, len(data), XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(data[start : start + XERIAL_BLOCK_BYTES]))
        parts += (_INT32.pack(len(block)), block)
    return b"".join(parts)


def _unxerial(data: bytes, bytes_max: int | None) -> bytes:
    if not data.startswith(XERIAL_MAGIC):
        return _unsnappy(data, bytes_max)
    position, parts = len(XERIAL_MAGIC) + 8, []
    left = bytes_max
    while position + 4 <= len(data):
        (size,) = _INT32.unpack_from(data, position)
        position += 4
        if size < 0 or position + size > len(data):
            raise CorruptRecords("a snappy block is cut off")
        parts.append(_unsnappy(data[position : position + size], left))
        left = None if left is None else left - len(parts[-1])
        position += size
    return b"".join(parts)


def _unsnappy(block: bytes, bytes_max: int | None) -> bytes:
    """A block says in front how large it becomes."""
    if bytes_max is not None and cramjam.snappy.decompress_raw_len(block) > bytes_max:
        raise RecordsTooLarge("records decompress to more than they may")
    return bytes(cramjam.snappy.decompress_raw(block))
