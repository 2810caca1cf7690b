"""The partitioner port: which partition each record of a batch goes to. It works where clients partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mainstem.api.spec import PluginConfig


class Partitioner(Protocol):
    def partition_many(self, topic: str, keys: Sequence[bytes | None], partition_count: int) -> list[int]:
        """One partition in `[0, partition_count)` per key. `partition_count` is at least 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionerSpec:
    name: str
    open: Callable[[PluginConfig], Partitioner]
    config: type[PluginConfig] = PluginConfig
