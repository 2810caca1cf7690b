"""The last offset of each key in the part of a log that is being compacted, in bounded memory.

A key of up to 15 bytes stands for itself, a longer one is known by its MD5: lengths keep the two apart, and 128 bits keep digests
apart. Source: Kafka's `SkimpyOffsetMap`, 4.1, which needs 24 bytes an entry where a Python dict needs up to `ENTRY_BYTES`.
"""

from __future__ import annotations

from hashlib import md5

DIGEST_BYTES = 16
ENTRY_BYTES = 192
"""At worst, just after the table grew: 64 for the key, 32 for the offset, 96 for the two tables (measured: 103 to 171)."""


def entries_within(buffer_bytes: int, load_factor: float) -> int:
    """How many keys a map may hold in that part of `log.cleaner.dedupe.buffer.size`; at least one."""
    return max(1, int(buffer_bytes * load_factor) // ENTRY_BYTES)


class OffsetMap:
    """Filled in order of offsets. When it is full, the pass cleans up to `latest_offset` and no further."""

    __slots__ = ("_entries_max", "_offsets", "is_full", "latest_offset")

    def __init__(self, entries_max: int) -> None:
        self._entries_max = entries_max
        self._offsets: dict[bytes, int] = {}
        self.latest_offset = -1
        self.is_full = False

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def utilization(self) -> float:
        return len(self._offsets) / self._entries_max

    def put(self, key: bytes, offset: int) -> bool:
        """False, and nothing is changed, if there is no room for one more key."""
        name = key if len(key) < DIGEST_BYTES else md5(key, usedforsecurity=False).digest()
        offsets = self._offsets
        if len(offsets) >= self._entries_max and name not in offsets:
            self.is_full = True
            return False
        offsets[name] = self.latest_offset = offset
        return True

    def pass_over(self, offset: int) -> None:
        """Everything up to `offset` is in the map, or has no key that matters."""
        self.latest_offset = max(self.latest_offset, offset)

    def get(self, key: bytes) -> int:
        """-1 for an unknown key."""
        return self._offsets.get(key if len(key) < DIGEST_BYTES else md5(key, usedforsecurity=False).digest(), -1)
