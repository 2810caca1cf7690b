"""The last offset of each key in the part of a log that is being compacted, in bounded memory.

A key of up to 15 bytes stands for itself, a longer one is known by its MD5: lengths keep the two apart, and 128 bits keep digests
apart. Source: Kafka's `SkimpyOffsetMap`, 4.1, which needs 24 bytes an entry where a Python dict needs up to `ENTRY_BYTES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5

DIGEST_BYTES = 16
ENTRY_BYTES = 144
"""64 for the key, 32 for the offset, up to 48 for its table (measured: 111 to 129)."""


def entries_within(buffer_bytes: int, load_factor: float) -> int:
    """How many keys a map may hold in that part of `log.cleaner.dedupe.buffer.size`; at least one."""
    return max(1, int(buffer_bytes * load_factor) // ENTRY_BYTES)


SHARDS = 64


class OffsetMap:
    """Filled in order of offsets. When it is full, the pass cleans up to `latest_offset` and no further.

    Many small tables: one large one would hold the interpreter for a tenth of a second when it grows and when it is given back.
    """

    __slots__ = ("_count", "_entries_max", "_shards", "is_full", "latest_offset")

    def __init__(self, entries_max: int) -> None:
        self._entries_max = entries_max
        self._count = 0
        self._shards: list[dict[bytes, int]] = [{} for _ in range(SHARDS)]
        self.latest_offset = -1
        self.is_full = False

    def __len__(self) -> int:
        return self._count

    @property
    def utilization(self) -> float:
        return self._count / self._entries_max

    def put(self, key: bytes, offset: int) -> bool:
        """False, and nothing is changed, if there is no room for one more key."""
        name = key if len(key) < DIGEST_BYTES else md5(key, usedforsecurity=False).digest()
        offsets = self._shards[hash(name) % SHARDS]
        if name not in offsets:
            if self._count >= self._entries_max:
                self.is_full = True
                return False
            self._count += 1
        offsets[name] = self.latest_offset = offset
        return True

    def pass_over(self, offset: int) -> None:
        """Everything up to `offset` is in the map, or has no key that matters."""
        self.latest_offset = max(self.latest_offset, offset)

    def get(self, key: bytes) -> int:
        """-1 for an unknown key."""
        name = key if len(key) < DIGEST_BYTES else md5(key, usedforsecurity=False).digest()
        return self._shards[hash(name) % SHARDS].get(name, -1)

    def release(self) -> Iterator[None]:
        """Give the memory back, one table a step. The map is of no use afterwards."""
        for shard in self._shards:
            shard.clear()
            yield
