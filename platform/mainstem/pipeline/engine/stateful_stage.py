"""A step with state at work in one task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mainstem.api.batch import Batch
from mainstem.pipeline.engine.counters import StageCounters
from mainstem.pipeline.engine.error_policy import Guard
from mainstem.pipeline.engine.moments import ReadTimes, StageMoment, delayed
from mainstem.pipeline.engine.provenance import MadeOrigin, Origin
from mainstem.pipeline.engine.stages import GuardedStage, Packet
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.stateful import Emission, StatefulOperator
from mainstem.pipeline.operators.stateless import slice_of
from mainstem.pipeline.plan.steps import LATE, MAIN


class _Part(NamedTuple):
    batch: Batch
    origin: Origin


class StatefulStage(GuardedStage):
    """`delay_ms`: how far the watermark that this stage sees lags behind that of its task."""

    def __init__(
        self, name: str, counters: StageCounters, guard: Guard, operator: StatefulOperator, delay_ms: int
    ) -> None:
        super().__init__(name, counters, guard)
        self.operator = operator
        self.delay_ms = delay_ms

    async def take(self, packet: Packet, port: str) -> None:
        batch, origin = packet.batch, packet.origin
        records = len(batch)
        self.counters.count(packet.split, records, 0)
        start, end = 0, records
        while start < records:
            part = _Part(batch, origin) if end - start == records else _part(batch, origin, start, end)
            try:
                emissions = list(self._process(part, port, packet.times))
                start, end = end, records
            except StageFailure as failure:
                if self.guard.stops or failure.index is None:
                    raise self.stopped(failure, part.origin) from failure.cause
                if failure.applied is None and failure.index > 0:
                    end = start + failure.index  # first what came before it, so that records keep their order
                    continue
                emissions = list(failure.applied or ())
                await self._deliver(emissions, part, packet)
                emissions = await self._settle_one(part, failure, failure.index, port, packet)
                part = _part(batch, origin, start + failure.index, start + failure.index + 1)
                start, end = start + failure.index + 1, records
            await self._deliver(emissions, part, packet)

    def _process(self, part: _Part, port: str, times: ReadTimes) -> Iterable[Emission]:
        moment = StageMoment(times, part.origin, len(part.batch), self.delay_ms)
        return self.operator.process(part.batch, port, moment)

    async def _settle_one(
        self, part: _Part, failure: StageFailure, index: int, port: str, packet: Packet
    ) -> list[Emission]:
        """What a further try makes of the record that failed."""
        one = _part(part.batch, part.origin, index, index + 1)

        async def again() -> list[Emission]:
            return list(self._process(one, port, packet.times))

        settled = await self.settle(part.batch, index, failure.cause or failure, part.origin, again)
        made: list[Emission] = settled.value if settled.is_taken else []
        return made

    async def _deliver(self, emissions: Iterable[Emission], part: _Part, packet: Packet) -> None:
        for emission in emissions:
            if emission.places is None:
                origin: Origin = MadeOrigin(emission.about)
            else:
                origin = part.origin.fork()
                origin.gathered(emission.places)
            await self._send(emission, origin, packet.times, packet.split)

    async def _send(self, emission: Emission, origin: Origin, times: ReadTimes, split: str) -> None:
        records = len(emission.batch)
        counts = self.counters.late if emission.port == LATE else self.counters.records_out
        counts[split] = counts.get(split, 0) + records
        await self.pass_on(Packet(emission.batch, origin, times, split), emission.port)

    async def advance(self, watermark_ms: int, times: ReadTimes) -> None:
        """The watermark of the task has come this far. What is emitted goes ahead of it: those that follow see it at the
        watermark before (`times`), so that it is not late there."""
        for emission in self.operator.on_watermark(delayed(watermark_ms, self.delay_ms)):
            await self._send(emission, MadeOrigin(emission.about), times, MAIN)

    async def tick(self, times: ReadTimes) -> None:
        due = self.operator.next_wall_clock_ms()
        if due is not None and due <= times.now_ms:
            for emission in self.operator.on_wall_clock(times.now_ms):
                await self._send(emission, MadeOrigin(emission.about), times, MAIN)


def _part(batch: Batch, origin: Origin, start: int, end: int) -> _Part:
    forked = origin.fork()
    forked.gathered(range(start, end))
    return _Part(slice_of(batch, start, end), forked)
