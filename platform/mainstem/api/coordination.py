"""The coordination port: who is in the cluster, who decides, and the ordered changes that were decided.

It is semantic on purpose: a plugin may keep it in ZooKeeper's znodes, in a journal file or in a database. The controller
writes `Change`s under its epoch; a write under an older epoch is refused, so a paused controller that wakes is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mainstem.api.context import PluginContext
from mainstem.api.spec import PluginConfig
from mainstem.model.cluster import BrokerRegistration, Change


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerClaim:
    broker_id: int
    epoch: int


class Coordinator(Protocol):
    """Owned by one broker; all calls on its loop."""

    async def open(self) -> Sequence[Change]:
        """Connect and return everything decided so far, in an order in which it can be applied to an empty image."""

    async def cluster_id(self) -> str:
        """22 characters, made once for the cluster's lifetime."""

    async def register(self, registration: BrokerRegistration) -> int:
        """Join as a live broker; returns the broker epoch. Raises: FencedError if the id is taken by a live broker."""

    async def brokers(self) -> Sequence[BrokerRegistration]:
        """The live ones."""

    async def elect(self, broker_id: int) -> ControllerClaim:
        """The active controller: this broker with a new epoch, or whoever holds the office."""

    async def write(self, changes: Sequence[Change], controller_epoch: int) -> None:
        """Store durably, all or none, in order. Raises: FencedError, StorageError."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorBackend:
    """Descriptor. `open(config, context, directory)`: `directory` is the broker's first log directory (None: keep in memory)."""

    name: str
    open: Callable[[PluginConfig, PluginContext, Path | None], Coordinator]
    config: type[PluginConfig] = PluginConfig
