"""Producer ids: never given twice, taken from the cluster in blocks. Source: KIP-360, KIP-730."""

from __future__ import annotations

import asyncio

from mainstem.runtime.metadata import Metadata

BLOCK_IDS = 1000


class ProducerIds:
    """Hands out ids of the current block. `_lock` guards fetching the next one, so that concurrent callers fetch it once."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._next = 0
        self._end = 0
        self._lock = asyncio.Lock()

    async def take(self) -> int:
        """Raises: StorageError, FencedError if no block can be reserved."""
        async with self._lock:
            if self._next >= self._end:
                self._next = await self._metadata.reserve_producer_ids(BLOCK_IDS)
                self._end = self._next + BLOCK_IDS
            taken = self._next
            self._next += 1
            return taken
