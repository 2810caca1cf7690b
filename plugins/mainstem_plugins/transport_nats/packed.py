"""Many records as the one message that a stream keeps of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainstem.api.batch import Batch
from mainstem.api.transport import FetchedBatch
from mainstem.model.columns import Headers
from mainstem.model.ids import TopicPartition


class Packed(msgspec.Struct, array_like=True):
    """`first` is the offset of the first record. `newest` is the largest timestamp of the partition until the end of this
    message: it never goes back, so a time can be searched for."""

    first: int
    newest: int
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[list[tuple[str, bytes | None]]] | None = None

    @property
    def end(self) -> int:
        """The offset behind the last record."""
        return self.first + len(self.values)


class Ending(msgspec.Struct, frozen=True):
    """Where a partition ends: what the next message of it must build on."""

    sequence: int
    offset: int
    newest: int


_decoder = msgspec.msgpack.Decoder(Packed)
_encoder = msgspec.msgpack.Encoder()


def unpack(data: bytes) -> Packed:
    """Raises: msgspec.DecodeError if somebody else wrote this message."""
    return _decoder.decode(data)


def pack(batch: Batch, ending: Ending) -> bytes:
    """`batch` as it follows `ending`."""
    headers = batch.headers if batch.headers is not None and any(batch.headers) else None
    newest = max(ending.newest, *batch.timestamps)
    # As a plain list, because a Struct would have to convert the headers to lists of its own first.
    return _encoder.encode([ending.offset, newest, batch.timestamps, batch.keys, batch.values, headers])


def fetched(
    partition: TopicPartition, parts: Sequence[Packed], start: int, next_offset: int, end_offset: int
) -> FetchedBatch:
    """The records from `start` until `next_offset` of parts that follow each other (there may be gaps between them)."""
    offsets: list[int] = []
    timestamps: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    headers: list[Headers] = []
    has_headers = any(part.headers is not None for part in parts)
    for part in parts:
        begin, end = max(start - part.first, 0), min(next_offset, part.end) - part.first
        offsets.extend(range(part.first + begin, part.first + end))
        timestamps.extend(part.timestamps[begin:end])
        keys.extend(part.keys[begin:end])
        values.extend(part.values[begin:end])
        if has_headers:
            headers.extend([()] * (end - begin) if part.headers is None else part.headers[begin:end])
    return FetchedBatch(
        partition=partition,
        batch=Batch(keys=keys, values=values, timestamps=timestamps, headers=headers if any(headers) else None),
        offsets=offsets,
        next_offset=next_offset,
        end_offset=end_offset,
    )
