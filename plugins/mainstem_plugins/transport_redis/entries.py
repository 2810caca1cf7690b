"""Batches of records as the entries of a stream hold them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mainstem.api.batch import Batch, size_of, slices
from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition

RECORDS_MAX = 1_000


class Packed(msgspec.Struct, array_like=True, kw_only=True):
    """What an entry holds. Compacted entries have `offsets`, and the times (ms) at which tombstones were first seen."""

    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[list[tuple[str, bytes | None]]] | None = None
    offsets: list[int] | None = None
    tombstones: dict[int, int] | None = None


class Entry(msgspec.Struct, kw_only=True):
    """`end` is the offset behind the entry; `newest` the largest timestamp up to its end; `appended_ms` by the server's
    clock."""

    end: int
    newest: int
    appended_ms: int
    offsets: list[int]
    packed: Packed
    size: int


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Packed)


def pack(packed: Packed) -> bytes:
    return _ENCODER.encode(packed)


def unpack(partition: TopicPartition, id_: bytes, fields: Any) -> Entry:
    """Raises: TransportError."""
    end = int(id_.partition(b"-")[0])
    try:
        data = fields[b"batch"]
        packed = _DECODER.decode(data)
        offsets = packed.offsets if packed.offsets is not None else list(range(end - len(packed.values), end))
        return Entry(
            end=end, newest=int(fields[b"newest"]), appended_ms=int(fields[b"appended"]), offsets=offsets,
            packed=packed, size=len(data),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, msgspec.DecodeError) as error:
        raise TransportError(f"{partition}: entry {id_.decode()} of its stream is not mainstem's: {error}") from error


def id_of(offset: int) -> str:
    return f"{offset}-0"


def pieces(batch: Batch, batch_bytes: int) -> Iterator[tuple[Batch, int]]:
    """Parts for one entry each, with their sizes."""
    size = size_of(batch)
    if batch.headers is None and size <= batch_bytes and len(batch) <= RECORDS_MAX:
        if len(batch):
            yield batch, size
        return
    for first, end in slices(batch, batch_bytes, RECORDS_MAX):
        part = batch.part(first, end)
        if part.headers is not None and not any(part.headers):
            part.headers = None
        yield part, size_of(part)
