"""The partitioner port: which partition each record of a batch goes to. It works where clients partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mainstem.api.spec import PluginConfig


class Partitioner(Protocol):
    """May keep state from batch to batch; one object serves one sink."""

    def partition_many(self, topic: str, keys: Sequence[bytes | None], partition_count: int) -> list[int]:
        """One partition in `[0, partition_count)` per key. `partition_count` is at least 1 and may grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionerSpec:
    name: str
    open: Callable[[Any], Partitioner]
    config: type[PluginConfig] = PluginConfig
