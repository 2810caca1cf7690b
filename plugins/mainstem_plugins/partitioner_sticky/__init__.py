"""Partitioner `sticky`: whole batches to one partition, another one each time, whatever the key.

Batches stay large, so fewer requests carry more records. Kafka's `UniformStickyPartitioner` (KIP-480).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated

import msgspec

from mainstem.api.hookspecs import hookimpl
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.spec import PluginConfig


class StickyConfig(PluginConfig, frozen=True, kw_only=True):
    """`records` is how many go to one partition before the next batch moves on; `seed` makes the order
    repeatable."""

    records: Annotated[int, msgspec.Meta(ge=1)] = 1
    seed: int | None = None


class StickyPartitioner:
    def __init__(self, config: StickyConfig) -> None:
        self._random = random.Random(config.seed)
        self._records = config.records
        self._current: dict[str, int] = {}
        self._given: dict[str, int] = {}

    def partition_many(self, topic: str, keys: Sequence[bytes | None], partition_count: int) -> list[int]:
        current = self._current.get(topic)
        given = self._given.get(topic, 0)
        if current is None or current >= partition_count:
            current, given = self._random.randrange(partition_count), 0
        elif given >= self._records and partition_count > 1:
            current = (current + self._random.randrange(1, partition_count)) % partition_count
            given = 0
        self._current[topic] = current
        self._given[topic] = given + len(keys)
        return [current] * len(keys)


@hookimpl
def mainstem_register_partitioners() -> list[PartitionerSpec]:
    return [PartitionerSpec(name="sticky", open=StickyPartitioner, config=StickyConfig)]
