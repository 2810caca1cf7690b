"""The coordination port on a journal of this process. Its controller is the broker it lives in."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.coordination import ControllerClaim
from mainstem.model.cluster import BrokerRegistration, Change
from mainstem.model.errors import FencedError, StorageError
from mainstem_plugins.coordinator_embedded.entries import Decided, Entry, Epochs, Founded, State
from mainstem_plugins.coordinator_embedded.journal import Journal

GARBAGE_FACTOR = 4
"""The journal is rewritten when it is this many times as long as after the last time."""

T = TypeVar("T")


class EmbeddedCoordinator:
    """See `api.coordination.Coordinator`. Without a directory everything is forgotten at the end."""

    def __init__(
        self, context: PluginContext, directory: Path | None, *, compaction_bytes_min: int, cluster_id: str = ""
    ) -> None:
        self._new_cluster_id = cluster_id
        self._executor = context.executor
        self._log = context.log
        self._journal = Journal(directory, context.files) if directory is not None else None
        self._compaction_bytes_min = compaction_bytes_min
        self._compacted_bytes = 0
        self._state = State()
        self._live: dict[int, BrokerRegistration] = {}
        self._failure: StorageError | FencedError | None = None
        # One write to the journal at a time; the state changes in the order of the lines.
        self._journal_is_writing = asyncio.Lock()

    async def open(self) -> Sequence[Change]:
        if self._journal is not None:
            self._state = await self._in_thread(self._journal.open)
            await self._compact_if_grown()
        if not self._state.cluster_id:
            await self._append(lambda state: [Founded(cluster_id=self._new_cluster_id or new_cluster_id())])
        return self._state.changes()

    async def cluster_id(self) -> str:
        return self._state.cluster_id

    async def register(self, registration: BrokerRegistration) -> int:
        broker_id = registration.broker_id
        alive = self._live.get(broker_id)
        if alive is not None:
            raise FencedError(f"broker {broker_id}", registration.epoch, alive.epoch)
        # Taken at once, so that a second broker of this id finds it taken while the journal is written.
        self._live[broker_id] = registration
        try:
            epochs = await self._append(_next_broker_epoch)
        except (StorageError, FencedError):
            del self._live[broker_id]
            raise
        self._live[broker_id] = msgspec.structs.replace(registration, epoch=epochs.broker_epoch)
        return epochs.broker_epoch

    async def brokers(self) -> Sequence[BrokerRegistration]:
        return list(self._live.values())

    async def elect(self, broker_id: int) -> ControllerClaim:
        held = self._state.epochs
        if held.controller_id in self._live and held.controller_id != broker_id:
            return ControllerClaim(broker_id=held.controller_id, epoch=held.controller_epoch)
        epochs = await self._append(lambda state: _next_controller_epoch(state, broker_id))
        return ControllerClaim(broker_id=broker_id, epoch=epochs.controller_epoch)

    async def write(self, changes: Sequence[Change], controller_epoch: int) -> None:
        def decide(state: State) -> list[Entry]:
            newest = state.epochs.controller_epoch
            if controller_epoch < newest:
                raise FencedError("controller", controller_epoch, newest)
            return [Decided(changes=list(changes))]

        await self._append(decide)
        await self._compact_if_grown()

    async def close(self) -> None:
        async with self._journal_is_writing:
            if self._journal is not None:
                await self._in_thread(self._journal.close)

    async def _append(self, decide: Callable[[State], list[Entry]]) -> Epochs:
        """Write what `decide` makes of the newest state, apply it, and return the epochs of then.

        Raises: StorageError, FencedError. After a failed write all later ones fail: nobody knows what is on
        the disk.
        """
        async with self._journal_is_writing:
            if self._failure is not None:
                raise self._failure
            entries = decide(self._state)
            if self._journal is not None:
                await self._append_to_journal(self._journal, entries)
            for entry in entries:
                self._state.apply(entry)
            return self._state.epochs

    async def _append_to_journal(self, journal: Journal, entries: list[Entry]) -> None:
        try:
            await self._in_thread(lambda: journal.append(entries))
        except (StorageError, FencedError) as error:
            self._failure = error
            raise
        except asyncio.CancelledError:
            # The thread goes on and the line may well be written, but the state here will never have it.
            self._failure = StorageError(str(journal.path), "a write was abandoned half-way")
            raise

    async def _compact_if_grown(self) -> None:
        journal = self._journal
        if journal is None:
            return
        if journal.size_bytes < max(self._compaction_bytes_min, GARBAGE_FACTOR * self._compacted_bytes):
            return
        async with self._journal_is_writing:
            before = journal.size_bytes
            entries = list(self._state.entries())
            try:
                await self._in_thread(lambda: journal.rewrite(entries))
            except StorageError as error:
                # What was asked for is written already. The next attempt comes when the journal has grown
                # again.
                self._log.warning("coordinator.journal_compaction_failed", reason=error.reason)
            self._compacted_bytes = journal.size_bytes
        self._log.debug("coordinator.journal_compacted", bytes_before=before, bytes_after=journal.size_bytes)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def _next_broker_epoch(state: State) -> list[Entry]:
    return [msgspec.structs.replace(state.epochs, broker_epoch=state.epochs.broker_epoch + 1)]


def _next_controller_epoch(state: State, broker_id: int) -> list[Entry]:
    epoch = state.epochs.controller_epoch + 1
    return [Epochs(broker_epoch=state.epochs.broker_epoch, controller_epoch=epoch, controller_id=broker_id)]


def new_cluster_id() -> str:
    """22 characters of URL-safe base64, as Kafka's `Uuid.randomUuid`; never with a dash in front."""
    while True:
        text = base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text
