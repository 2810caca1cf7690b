"""Kafka's codecs over cramjam, in the framings that the Java client writes and reads."""

from __future__ import annotations

import struct
from enum import IntEnum

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


def codec_of(name: str) -> Codec:
    """`none`, `gzip`, `snappy`, `lz4`, `zstd`. Raises: ValueError naming what is allowed."""
    try:
        return Codec[name.upper()]
    except KeyError:
        allowed = ", ".join(c.name.lower() for c in Codec)
        raise ValueError(f"compression {name!r} is not one of {allowed}") from None


def compress(codec: Codec, data: bytes) -> bytes:
    match codec:
        case Codec.NONE:
            return data
        case Codec.GZIP:
            return bytes(cramjam.gzip.compress(data))
        case Codec.SNAPPY:
            return _xerial(data)
        case Codec.LZ4:
            return bytes(cramjam.lz4.compress(data))
        case Codec.ZSTD:
            return bytes(cramjam.zstd.compress(data))


def decompress(codec: int, data: bytes | memoryview) -> bytes:
    """Raises: CorruptRecords."""
    try:
        match codec:
            case Codec.NONE:
                return bytes(data)
            case Codec.GZIP:
                return bytes(cramjam.gzip.decompress(data))
            case Codec.SNAPPY:
                return _unxerial(bytes(data))
            case Codec.LZ4:
                return bytes(cramjam.lz4.decompress(data))
            case Codec.ZSTD:
                return bytes(cramjam.zstd.decompress(data))
            case _:
                raise CorruptRecords(f"compression codec {codec} does not exist")
    except cramjam.DecompressionError as error:
        raise CorruptRecords(f"records do not decompress: {error}") from None


def _xerial(data: bytes) -> bytes:
    """snappy-java's stream: magic, version 1, compatible 1, then length-prefixed raw blocks."""
    parts = [XERIAL_MAGIC, struct.pack(">ii", 1, 1)]
    for start in range(0, len(data), XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(data[start : start + XERIAL_BLOCK_BYTES]))
        parts += (_INT32.pack(len(block)), block)
    return b"".join(parts)


def _unxerial(data: bytes) -> bytes:
    if not data.startswith(XERIAL_MAGIC):
        return bytes(cramjam.snappy.decompress_raw(data))
    position, parts = len(XERIAL_MAGIC) + 8, []
    while position + 4 <= len(data):
        (size,) = _INT32.unpack_from(data, position)
        position += 4
        if size < 0 or position + size > len(data):
            raise CorruptRecords("a snappy block is cut off")
        parts.append(bytes(cramjam.snappy.decompress_raw(data[position : position + size])))
        position += size
    return b"".join(parts)
