"""Task states that survive the process in memory, for simulations: see `api.state`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mainstem.api.context import PluginContext
from mainstem.api.state import StateChange, StateEntry, StateSpec


class SimulatedDisk:
    """What lies in folders."""

    def __init__(self) -> None:
        self.folders: dict[Path, dict[bytes, bytes]] = {}
        self.positions: dict[Path, bytes] = {}

    def spec(self) -> StateSpec:
        return StateSpec(name="simulated", open=self._open)

    def _open(self, config: Any, context: PluginContext, folder: Path) -> SimulatedState:
        return SimulatedState(self, folder)


class SimulatedState:
    def __init__(self, disk: SimulatedDisk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self._entries = disk.folders.setdefault(folder, {})

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._entries.get(key) for key in keys]

    def scan(self, prefix: bytes) -> Iterator[StateEntry]:
        return iter([StateEntry(key, value) for key, value in sorted(self._entries.items()) if key.startswith(prefix)])

    def first_key(self, prefix: bytes, at_least: bytes) -> bytes | None:
        return min((key for key in self._entries if key.startswith(prefix) and key >= at_least), default=None)

    def write(self, changes: Sequence[StateChange], position: bytes) -> None:
        for key, value in changes:
            if value is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = value
        self._disk.positions[self._folder] = position

    def position(self) -> bytes | None:
        return self._disk.positions.get(self._folder)

    def clear(self) -> None:
        self._entries.clear()
        self._disk.positions.pop(self._folder, None)

    def close(self) -> None:
        pass
