"""Partitioner `murmur2`: where Java clients put a key, they find it. Source: Kafka's `Utils.murmur2`,
`BuiltInPartitioner`.

Records without a key stay together per batch, on a partition that changes from batch to batch (KIP-480).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from mainstem.api.hookspecs import hookimpl
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.spec import PluginConfig

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
MASK = 0xFFFFFFFF
KEYS_REMEMBERED = 65_536


def murmur2(data: bytes) -> int:
    """The 32-bit hash as an unsigned number (Java shows it signed)."""
    length = len(data)
    h = SEED ^ length
    whole = length & ~3
    for index in range(0, whole, 4):
        k = int.from_bytes(data[index : index + 4], "little") * MULTIPLIER & MASK
        k = (k ^ (k >> 24)) * MULTIPLIER & MASK
        h = (h * MULTIPLIER & MASK) ^ k
    if whole != length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * MULTIPLIER & MASK
    h = (h ^ (h >> 13)) * MULTIPLIER & MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=KEYS_REMEMBERED)
def positive_hash(key: bytes) -> int:
    """Keys repeat, and the hash of one takes a microsecond per four bytes. Kafka's `Utils.toPositive`."""
    return murmur2(key) & 0x7FFFFFFF


class Murmur2Config(PluginConfig, frozen=True, kw_only=True):
    """`seed` fixes where records without a key go, for tests."""

    seed: int | None = None


class Murmur2Partitioner:
    def __init__(self, config: Murmur2Config) -> None:
        self._random = random.Random(config.seed)

    def partition_many(self, topic: str, keys: Sequence[bytes | None], partition_count: int) -> list[int]:
        if partition_count == 1:
            return [0] * len(keys)
        keyless = self._random.randrange(partition_count)
        return [keyless if key is None else positive_hash(key) % partition_count for key in keys]


@hookimpl
def mainstem_register_partitioners() -> list[PartitionerSpec]:
    return [PartitionerSpec(name="murmur2", open=Murmur2Partitioner, config=Murmur2Config)]
