"""Faust's tables in a state plugin: `store="mainstem+rocksdb://"`, by the entry point `faust.stores`.

What follows `+` is the plugin's name, the URL's query and the table's `options` are its settings. Unlike Faust's own stores on
disk, one partition's folder never holds what an aborted transaction wrote: with exactly once it is written at the commit.
"""

from __future__ import annotations

import asyncio
import glob
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.stores.base import SerializedStore
from faust.streams import current_event
from faust.tables.sets import SetTable
from faust.types import TP

from mainstem.api.context import PluginContext
from mainstem.api.spec import configure
from mainstem.api.state import StateChange, StateInUse, StateSpec
from mainstem.app.plugins import PluginManager
from mainstem.faust.driver import Transport
from mainstem.faust.partition_state import PartitionState
from mainstem.faust.schemes import REMOTE_PREFIX
from mainstem.runtime.clock import SystemClock
from mainstem.telemetry.logs import get_logger
from mainstem.telemetry.sensors import Sensors

OPEN_TRIES = 30
OPEN_RETRY_S = 1.0


class Store(SerializedStore[Any, Any]):
    """A folder per partition, `<tabledir>/<table>-<partition>.<plugin>`, open while the partition is here. Disk is touched on
    Faust's loop, because its tables are read and written by plain calls."""

    table: Any  # the type that Faust gives it lacks `changelog_topic_name`

    def __init__(self, url: Any, app: Any, table: Any, **kwargs: Any) -> None:
        """Raises: ConfigError, PluginError, ImproperlyConfigured for a table of sets."""
        super().__init__(url, app, table, **kwargs)
        if isinstance(table, SetTable):
            raise ImproperlyConfigured(
                f"Table {table.name!r} holds sets: Faust recovers those into memory only; give it store='memory://'"
            )
        self.plugin = self.url.scheme.removeprefix(REMOTE_PREFIX)
        self._spec = PluginManager().find(StateSpec, self.plugin)
        settings = {**self.url.query, **(self.options or {})}
        self._config = configure(self._spec.config, settings, owner=f"state {self.plugin}")
        self._partitions: dict[int, PartitionState] = {}
        self._threads: ThreadPoolExecutor | None = None

    # Partitions coming and going

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Standby partitions are opened by the first change that comes for them. Raises: StateStoreError."""
        for tp in self._mine(revoked):
            self._close(tp.partition)
        standbys = self.app.assignor.assigned_standbys()
        for tp in self._mine(newly_assigned - standbys):
            await self._open_when_free(tp.partition, generation_id)

    def _mine(self, tps: Iterable[TP]) -> list[TP]:
        topics = self.table.changelog_topic.topics
        return sorted(tp for tp in tps if tp.topic in topics)

    async def _open_when_free(self, partition: int, generation_id: int) -> None:
        """A worker that has just lost the partition may not have closed it yet."""
        for attempt in range(1, OPEN_TRIES + 1):
            try:
                self._open(partition)
            except StateInUse:
                if attempt == OPEN_TRIES:
                    raise
                if generation_id != self.app.consumer_generation_id:
                    return  # the next rebalance is under way, and comes here too
                await asyncio.sleep(OPEN_RETRY_S)
            else:
                return

    def _open(self, partition: int) -> PartitionState:
        """Raises: StateStoreError."""
        found = self._partitions.get(partition)
        if found is None:
            state = self._spec.open(self._config, self._context(), self.folder(partition))
            found = self._partitions[partition] = PartitionState(state, is_transactional=self.app.in_transaction)
        return found

    def _context(self) -> PluginContext:
        transport: Any = self.app.transport
        if isinstance(transport, Transport) and transport.is_acquired:
            assert transport.session.environment is not None, "an acquired session is open"
            return transport.session.environment.context
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="mainstem-state")
        log = get_logger("mainstem.faust")
        return PluginContext(clock=SystemClock(), log=log, executor=self._threads, sensor=Sensors())

    def folder(self, partition: int) -> Path:
        tables: Path = self.app.conf.tabledir
        return tables / f"{self.table_name}-{partition}.{self.plugin}"

    def _close(self, partition: int) -> None:
        state = self._partitions.pop(partition, None)
        if state is not None:
            state.close()

    async def on_stop(self) -> None:
        for partition in list(self._partitions):
            self._close(partition)
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    async def need_active_standby_for(self, tp: TP) -> bool:
        """Not where another worker with the same folder fills it."""
        try:
            self._open(tp.partition)
        except StateInUse:
            return False
        return True

    def reset_state(self) -> None:
        for partition in list(self._partitions):
            self._close(partition)
        tables: Path = self.app.conf.tabledir
        for folder in tables.glob(f"{glob.escape(self.table_name)}-*.{self.plugin}"):
            number = folder.name.removeprefix(f"{self.table_name}-").removesuffix(f".{self.plugin}")
            if number.isdigit():  # not that of another table whose name begins like this one's
                shutil.rmtree(folder)

    # The changelog

    def persisted_offset(self, tp: TP) -> int | None:
        return self._open(tp.partition).offset

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """Does nothing for a partition that has left: a late answer must not claim what is not written there."""
        state = self._partitions.get(tp.partition)
        if state is not None:
            state.acknowledged(offset)

    def apply_changelog_batch(
        self, batch: Iterable[Any], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        changes: defaultdict[int, list[StateChange]] = defaultdict(list)
        last: dict[int, int] = {}
        for event in batch:
            message = event.message
            if message.key is None:
                raise TypeError(f"Changelog entry is missing key: {message}")
            changes[message.partition].append(StateChange(message.key, message.value))
            last[message.partition] = message.offset
        for partition, some in changes.items():
            self._open(partition).apply(some, last[partition])

    # Keys and values

    def _get(self, key: bytes) -> bytes | None:
        partition = self._partition_of_event()
        if partition is not None:
            return self._open(partition).get(key)
        found = (state.get(key) for state in self._partitions.values())
        return next((value for value in found if value is not None), None)

    def _partition_of_event(self) -> int | None:
        """Where the keys of the event at hand are. None: the table's keys are not bound to events, or there is none at hand."""
        event: Any = current_event()
        if event is None or self.table.is_global or self.table.use_partitioner:
            return None
        return int(event.message.partition)

    def _set(self, key: bytes, value: bytes | None) -> None:
        self._open(self._partition_of_write(key)).put(key, value)

    def _partition_of_write(self, key: bytes) -> int:
        """The one whose changelog has the change, if it is here: so that recovery finds what was written."""
        if self.table.use_partitioner:
            partition: int = self.app.producer.key_partition(self.table.changelog_topic_name, key).partition
            if partition in self._partitions:
                return partition
        event: Any = current_event()
        if event is None:
            raise TypeError("Cannot modify table key from outside of stream iteration")
        return int(event.message.partition)

    def _del(self, key: bytes) -> None:
        """Wherever it is: a global table may have it in another partition, and old windows go without an event."""
        partition = self._partition_of_event()
        if partition is not None:
            self._open(partition).put(key, None)
            return
        for state in self._partitions.values():
            if state.get(key) is not None:
                state.put(key, None)

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _actives(self) -> Iterator[PartitionState]:
        """Those of standby partitions are not this worker's to show."""
        actives, topic = self.app.assignor.assigned_actives(), self.table.changelog_topic_name
        for partition, state in list(self._partitions.items()):
            if self.table.is_global or TP(topic, partition) in actives:
                yield state

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        for state in self._actives():
            yield from state.items()

    def _iterkeys(self) -> Iterator[bytes]:
        return (key for key, _ in self._iteritems())

    def _itervalues(self) -> Iterator[bytes | None]:
        return (value for _, value in self._iteritems())

    def _size(self) -> int:
        return sum(1 for _ in self._iteritems())

    def _clear(self) -> None:
        raise RuntimeError("Clearing leaves no trace in the changelog, so it would come back: delete key by key")

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        raise RuntimeError("The changelog is the backup of this store")

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        raise RuntimeError("The changelog is the backup of this store: `faust reset` reads it from its beginning")
