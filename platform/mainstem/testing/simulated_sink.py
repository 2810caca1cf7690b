"""A two-phase sink whose world survives the process in memory, for simulations: see `api.connector.TwoPhaseSink`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorSpec, Rejected
from mainstem.api.spec import PluginConfig


class SimulatedStore:
    """What everybody sees, and what is prepared, by its token."""

    def __init__(self) -> None:
        self.visible: list[Any] = []
        self.prepared: dict[str, list[Any]] = {}
        self.prepared_ever = 0

    def spec(self, step: Callable[[str], None]) -> ConnectorSpec:
        """`step` is called before and after what changes the store; raising from it is a crash."""
        return ConnectorSpec(
            name="simulated",
            sink_config=PluginConfig,
            open_sink=lambda config, context: SimulatedSink(self, step),
            has_two_phases=lambda config: True,
        )


class SimulatedSink:
    def __init__(self, store: SimulatedStore, step: Callable[[str], None]) -> None:
        self._store = store
        self._step = step
        self._written: list[Any] = []
        self._mine: set[str] = set()

    async def open(self) -> None:
        pass

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        self._step("sink.write")
        self._written += batch.values
        return ()

    async def flush(self) -> None:
        self._step("sink.flush")
        self._store.visible += self._written
        self._written = []
        self._step("sink.flushed")

    async def prepare(self) -> str | None:
        self._step("sink.prepare")
        if not self._written:
            return None
        self._store.prepared_ever += 1
        token = f"part-{self._store.prepared_ever}"
        self._store.prepared[token], self._written = self._written, []
        self._mine.add(token)
        self._step("sink.prepared")
        return token

    async def commit(self, token: str) -> None:
        self._step("sink.commit")
        self._store.visible += self._store.prepared.pop(token, [])
        self._mine.discard(token)
        self._step("sink.committed")

    async def abort(self) -> None:
        self._step("sink.abort")
        self._written = []
        for token in self._mine:
            self._store.prepared.pop(token, None)
        self._mine.clear()

    async def close(self) -> None:
        pass
