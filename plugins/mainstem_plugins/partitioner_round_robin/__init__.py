"""Partitioner `round-robin`: one partition after the other, whatever the key. Kafka's
`RoundRobinPartitioner`."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.api.hookspecs import hookimpl
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.spec import PluginConfig


class RoundRobinPartitioner:
    def __init__(self, config: PluginConfig) -> None:
        self._next: dict[str, int] = {}

    def partition_many(self, topic: str, keys: Sequence[bytes | None], partition_count: int) -> list[int]:
        start = self._next.get(topic, 0) % partition_count
        self._next[topic] = start + len(keys)
        return [number % partition_count for number in range(start, start + len(keys))]


@hookimpl
def mainstem_register_partitioners() -> list[PartitionerSpec]:
    return [PartitionerSpec(name="round-robin", open=RoundRobinPartitioner)]
