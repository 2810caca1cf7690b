"""A task's state in memory as a file: what a run leaves at its orderly end, so that the next one need not read the whole changelog.

    magic | CRC-32 of the rest | MessagePack: state id, covers, blocks of entries

It counts only if the state id is exactly the committed one: then nothing has changed since. Everything of the changelog below
`covers` is in it or does not count; what lies behind is read as always (`state.changelog`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import msgspec

from mainstem.pipeline.state.changelog import Change, StateId

MAGIC = b"mainstem-snapshot-1\n"
BLOCK_ENTRIES = 10_000
_CRC = struct.Struct(">I")
_HEAD_BYTES = len(MAGIC) + _CRC.size


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """`blocks`: each is keys and values in turn, as in the changelog."""

    state_id: StateId
    covers: int
    blocks: list[bytes]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Snapshot)
_block_decoder = msgspec.msgpack.Decoder(list[bytes])


def block_of(entries: Sequence[Change]) -> bytes:
    """Of entries with values."""
    return _encode([part for entry in entries for part in entry])


def entries_of(block: bytes) -> list[Change]:
    parts = _block_decoder.decode(block)
    return list(map(Change, parts[::2], parts[1::2]))


def to_bytes(snapshot: Snapshot) -> bytes:
    rest = _encode(snapshot)
    return MAGIC + _CRC.pack(zlib.crc32(rest)) + rest


def from_bytes(data: bytes) -> Snapshot | None:
    """None for anything that is not a whole snapshot of this version."""
    rest = memoryview(data)[_HEAD_BYTES:]
    if data[: len(MAGIC)] != MAGIC or len(data) < _HEAD_BYTES:
        return None
    if _CRC.unpack_from(data, len(MAGIC))[0] != zlib.crc32(rest):
        return None
    try:
        return _decoder.decode(rest)
    except msgspec.DecodeError:
        return None
