"""Recovery of tables by slices: what waits in the changelog queue is applied at once, not record by record with a timer each."""

from __future__ import annotations

import asyncio
from itertools import groupby
from time import monotonic
from typing import Any

from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery as FaustRecovery
from faust.types import TP
from mode import Service

SLICE_EVENTS = 2_000
IDLE_WAIT_S = 1.0


class Recovery(FaustRecovery):
    """Ends by position, not by the last record: a changelog's last offset may be the marker of a transaction."""

    def __post_init__(self) -> None:
        self._passed: dict[TP, int] = {}
        self._news = asyncio.Event()

    def delivered(self, tp: TP, next_offset: int | None) -> None:
        """Something of a changelog has been put into the queue: everything below `next_offset`, or None where more is held."""
        if next_offset is not None:
            self._passed[tp] = max(self._passed.get(tp, 0), next_offset - 1)
        self._news.set()

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        self._passed.clear()
        await super().on_rebalance(*args, **kwargs)

    def _set_recovery_started(self) -> None:
        """The end of an earlier recovery must not be taken for the end of this one."""
        super()._set_recovery_started()
        self.signal_recovery_end.clear()

    async def _resume_streams(self, generation_id: int = 0) -> None:
        await super()._resume_streams(generation_id)
        self.app.consumer.wake()  # type: ignore[attr-defined]

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        await super().on_recovery_completed(generation_id)
        self.app.consumer.wake()  # type: ignore[attr-defined]

    @Service.task
    async def _slurp_changelogs(self) -> None:
        queue: Any = self.tables.changelog_queue
        waiting = queue._queue
        while not self.should_stop:
            if not waiting:
                queue.maybe_endorse_pressure_drop()
                self._apply_passed()
                self._maybe_end()
                self._news.clear()
                try:
                    async with asyncio.timeout(IDLE_WAIT_S):
                        await self._news.wait()
                except TimeoutError:
                    pass
                continue
            taken = [waiting.popleft() for _ in range(min(len(waiting), SLICE_EVENTS))]
            await self._apply(taken)
            queue.maybe_endorse_pressure_drop()
            await asyncio.sleep(0)

    async def _apply(self, events: list[Any]) -> None:
        now = monotonic()
        # They come in runs of one partition.
        for tp, run in groupby(events, key=_partition_of):
            table: Any = self.tp_to_table.get(tp)
            is_active = tp in self.active_tps
            if table is None or not (is_active or tp in self.standby_tps):
                continue  # revoked meanwhile
            offsets = self.active_offsets if is_active else self.standby_offsets
            seen = offsets.get(tp)
            batch = [event for event in run if seen is None or event.message.offset > seen]
            if not batch:
                continue
            offsets[tp] = batch[-1].message.offset
            received_at = self._active_events_received_at if is_active else self._standby_events_received_at
            received_at[tp] = now
            if table._on_changelog_event is not None:
                for event in batch:
                    await table.on_changelog_event(event)
            table.apply_changelog_batch(batch)
        self._last_flush_at = now
        self._processing_times.append((monotonic() - now) / len(events))
        if len(self._processing_times) > self.num_samples_required_for_estimate:
            self._processing_times.popleft()

    def _apply_passed(self) -> None:
        for tp, position in self._passed.items():
            offsets = self.active_offsets if tp in self.active_tps else self.standby_offsets
            if tp in offsets and position > (offsets[tp] if offsets[tp] is not None else -1):
                offsets[tp] = position

    def _maybe_end(self) -> None:
        if self.in_recovery and not self.need_recovery():
            self.flush_buffers()
            self._set_recovery_ended()
            self.signal_recovery_end.set()
        if not self.tables.standbys_ready and not self.standby_remaining_total():
            self.tables.on_standbys_ready()


def _partition_of(event: Any) -> TP:
    tp: TP = event.message.tp
    return tp


class TableManager(FaustTableManager):
    def on_transaction_committed(self) -> None:
        """Stores on disk hold what is committed, and know how far. Faust asks for that by the positions of the sources, where it
        finds no changelog."""
        for tp in list(self._pending_persisted_offsets):
            self.on_commit_tp(tp)
        self._pending_persisted_offsets.clear()

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery  # type: ignore[return-value]
