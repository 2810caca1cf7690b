"""Stages that may wait: async functions, topics and connectors. While one waits, only its task's splits do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from mainstem.api.batch import Batch
from mainstem.api.connector import Backpressure, Rejected
from mainstem.pipeline.engine.counters import StageCounters
from mainstem.pipeline.engine.error_policy import Guard, Sleep
from mainstem.pipeline.engine.outputs import ConnectorOutput, TopicOutput
from mainstem.pipeline.engine.provenance import Origin
from mainstem.pipeline.engine.stages import GuardedStage, Packet, StoppedAt
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.stateless import keep, pick, slice_of
from mainstem.pipeline.plan import steps


class _Outcome(NamedTuple):
    row: int
    is_taken: bool
    value: Any


class AsyncMapStage(GuardedStage):
    """All calls of a batch have ended before it goes on, so nothing of it is in flight at a checkpoint."""

    def __init__(self, name: str, counters: StageCounters, guard: Guard, step: steps.AsyncMap) -> None:
        super().__init__(name, counters, guard)
        self._step = step

    async def take(self, packet: Packet, port: str) -> None:
        batch, origin = packet.batch, packet.origin
        records = len(batch)
        outcomes = await self._call_all(batch, origin)
        if self._step.is_ordered:
            outcomes.sort()
        taken = [one for one in outcomes if one.is_taken]
        rows = [one.row for one in taken]
        if rows != list(range(records)):
            origin.gathered(rows)
        made = Batch(
            keys=[batch.keys[row] for row in rows],
            values=[one.value for one in taken],
            timestamps=[batch.timestamps[row] for row in rows],
            headers=None if batch.headers is None else [batch.headers[row] for row in rows],
        )
        self.counters.count(packet.split, records, len(made))
        await self.pass_on(packet._replace(batch=made))

    async def _call_all(self, batch: Batch, origin: Origin) -> list[_Outcome]:
        """In the order in which they ended. Raises: StoppedAt of the first that stops; the others are cancelled."""
        outcomes: list[_Outcome] = []
        rows = iter(range(len(batch)))

        async def work() -> None:
            for row in rows:
                outcome = await self._call(batch, row, origin)
                outcomes.append(outcome)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._step.max_in_flight, len(batch))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            stopped = failures.split(StoppedAt)[0]
            raise (stopped or failures).exceptions[0] from None
        return outcomes

    async def _call(self, batch: Batch, row: int, origin: Origin) -> _Outcome:
        function, value = self._step.function, batch.values[row]

        async def again() -> Any:
            return await function(value)

        try:
            return _Outcome(row, True, await function(value))
        except Exception as error:  # a user's function may raise anything
            settled = await self.settle(batch, row, error, origin, again)
            return _Outcome(row, settled.is_taken, settled.value)


class TopicStage(GuardedStage):
    """Writes to a topic and passes records on unchanged."""

    def __init__(self, name: str, counters: StageCounters, guard: Guard, output: TopicOutput) -> None:
        super().__init__(name, counters, guard)
        self.output = output

    async def take(self, packet: Packet, port: str) -> None:
        batch, origin = packet.batch, packet.origin
        records = len(batch)
        try:
            encoded = self.output.encode(batch)
        except StageFailure as failure:
            if self.guard.stops or failure.index is None:
                raise self.stopped(failure, origin) from failure
            encoded, batch = await self._encode_guarded(batch, origin)
        try:
            await self.output.write(encoded)
        except StageFailure as failure:
            raise self.stopped(failure, origin) from failure
        self.counters.count(packet.split, records, len(encoded))
        await self.pass_on(packet._replace(batch=batch))

    async def _encode_guarded(self, batch: Batch, origin: Origin) -> tuple[Batch, Batch]:
        """Encoded, and as they were, those records that can be written."""
        encoded = Batch(keys=[], values=[], timestamps=[], headers=None if batch.headers is None else [])
        mask: list[bool] = []
        for row in range(len(batch)):
            one = slice_of(batch, row, row + 1)

            async def again(one: Batch = one) -> Batch:
                return self.output.encode(one)

            try:
                done: Batch | None = self.output.encode(one)
            except StageFailure as failure:
                settled = await self.settle(batch, row, failure.cause or failure, origin, again)
                done = settled.value if settled.is_taken else None
            mask.append(done is not None)
            if done is not None:
                _append(encoded, done)
        return encoded, keep(batch, mask, origin)


def _append(to: Batch, one: Batch) -> None:
    to.keys += one.keys
    to.values += one.values
    to.timestamps += one.timestamps
    if to.headers is not None and one.headers is not None:
        to.headers += one.headers


class ConnectorStage(GuardedStage):
    """Writes to a connector and passes on what it took."""

    def __init__(
        self, name: str, counters: StageCounters, guard: Guard, output: ConnectorOutput, sleep_ms: Sleep
    ) -> None:
        super().__init__(name, counters, guard)
        self.output = output
        self._sleep_ms = sleep_ms

    async def take(self, packet: Packet, port: str) -> None:
        batch, origin = packet.batch, packet.origin
        records = len(batch)
        is_taken = [False] * records
        rows = list(range(records))
        while rows:
            part = batch if len(rows) == records else pick(batch, rows)
            rejected = await self._write(part, origin)
            if not rejected:
                for row in rows:
                    is_taken[row] = True
                break
            # A batch with rejected records counts as not written: settle those, and write the others once more.
            refused = {rows[one.index]: one for one in rejected}
            for row, one in sorted(refused.items()):
                is_taken[row] = await self._settle_rejected(batch, row, one, origin)
            rows = [row for row in rows if row not in refused]
        made = keep(batch, is_taken, origin)
        self.counters.count(packet.split, records, len(made))
        await self.pass_on(packet._replace(batch=made))

    async def _write(self, batch: Batch, origin: Origin) -> Sequence[Rejected]:
        async def write() -> Sequence[Rejected]:
            return await self._write_patiently(batch)

        try:
            return await write()
        except Exception as error:  # a sink may be a stranger's
            return await self._write_again(batch, error, origin, write)

    async def _write_again(
        self, batch: Batch, error: Exception, origin: Origin, write: Callable[[], Awaitable[Sequence[Rejected]]]
    ) -> Sequence[Rejected]:
        """What is wrong with the connection and not with a record is tried again as a whole, and never skipped."""
        failure = StageFailure(error)
        for wait_ms in self.guard.waits_ms():
            await self._sleep_ms(wait_ms)
            self.counters.retries += 1
            try:
                return await write()
            except Exception as again:  # as above
                failure = StageFailure(again)
        raise self.stopped(failure, origin) from failure.cause

    async def _write_patiently(self, batch: Batch) -> Sequence[Rejected]:
        while True:
            try:
                return await self.output.write(batch)
            except Backpressure as pressure:
                await self._sleep_ms(pressure.retry_after_ms)

    async def _settle_rejected(self, batch: Batch, row: int, rejected: Rejected, origin: Origin) -> bool:
        """Whether a further try has written it."""

        async def again() -> None:
            refused = await self._write_patiently(slice_of(batch, row, row + 1))
            if refused:
                raise StageFailure(f"the sink refused the record: {refused[0].reason}", row)

        error = StageFailure(f"the sink refused the record: {rejected.reason}", row)
        settled = await self.settle(batch, row, error, origin, again)
        return bool(settled.is_taken)
