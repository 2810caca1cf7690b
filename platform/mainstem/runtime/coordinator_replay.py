"""Rebuild a coordinator's state from its partition of the internal topic."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from mainstem.model import records, records_pure
from mainstem.model.batch import BatchHeader, iterate
from mainstem.model.columns import Columns
from mainstem.model.errors import MainstemError
from mainstem.model.ids import NO_PRODUCER_ID
from mainstem.runtime.coordinator_shard import PartitionPort, RecordFormat, StateMachine

_MARKER = struct.Struct(">hh")
_ABORT, _COMMIT = 0, 1


class ReplayError(MainstemError):
    """A record of an internal topic that cannot be read. The coordinator does not serve what it does not
    know for sure.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"the record at offset {offset} cannot be read: {reason}")
        self.offset = offset
        self.reason = reason


async def replay(partition: PartitionPort, machine: StateMachine[Any], record_format: RecordFormat) -> int:
    """Feed everything up to the log end to `machine`; returns the last offset, -1 if the log is empty.

    Gives way to other work between chunks. Raises: ReplayError, StorageError.
    """
    next_offset = 0
    while True:
        end = partition.log_end_offset
        if next_offset >= end:
            return end - 1
        async for chunk in partition.replay(next_offset):
            for position, header in iterate(chunk):
                if header.next_offset > next_offset:
                    replay_batch(chunk[position : position + header.size], header, machine, record_format)
                    next_offset = header.next_offset
            await asyncio.sleep(0)
        # Compaction may have emptied the tail; and markers of transactions may have come while this was
        # reading.
        next_offset = max(next_offset, end)


def replay_batch(raw: bytes, header: BatchHeader, machine: StateMachine[Any], record_format: RecordFormat) -> None:
    if header.is_control:
        _replay_marker(raw, header, machine)
        return
    producer_id = header.producer_id if header.is_transactional else NO_PRODUCER_ID
    try:
        columns = records.decode(raw)
        for offset, key, value in zip(columns.offsets, columns.keys, columns.values, strict=True):
            record = record_format.decode(key, value)
            if record is not None:
                machine.apply(record, offset=offset, producer_id=producer_id)
    except ValueError as error:
        raise ReplayError(header.base_offset, str(error)) from error


def _replay_marker(raw: bytes, header: BatchHeader, machine: StateMachine[Any]) -> None:
    """The key of a control record: int16 version, int16 type. Other types than commit and abort are not for
    coordinators.
    """
    columns = Columns(offsets=[], timestamps=[], keys=[], values=[], headers=[])
    try:
        records_pure.decode_batch(raw, header, columns)
        for key in columns.keys:
            _, kind = _MARKER.unpack_from(key or b"")
            if kind in (_ABORT, _COMMIT):
                machine.end_transaction(header.producer_id, kind == _COMMIT)
    except (ValueError, struct.error) as error:
        raise ReplayError(header.base_offset, str(error)) from error
