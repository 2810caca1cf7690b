"""All batches of a partition in order, for rebuilding a coordinator's state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor

from mainstem.api.storage import PartitionLog
from mainstem.model.batch import iterate

CHUNK_BYTES = 1 << 20


async def replay_batches(log: PartitionLog, offset: int, end: int, executor: Executor) -> AsyncIterator[bytes]:
    """Whole raw batches from `offset` to `end`, a chunk at a time. Raises: StorageError."""
    loop = asyncio.get_running_loop()
    while offset < end:
        data, offset = await loop.run_in_executor(executor, _read_whole, log, offset, end)
        if not data:
            return
        yield data


def _read_whole(log: PartitionLog, offset: int, end: int) -> tuple[bytes, int]:
    """Whole batches only, and the offset after them. Runs in a thread."""
    data = log.read(offset, end, CHUNK_BYTES)
    stop = 0
    for position, header in iterate(data):
        stop, offset = position + header.size, header.next_offset
    return bytes(memoryview(data)[:stop]), offset
