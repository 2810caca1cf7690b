"""The stages of one task: what each does with a batch before the next gets it.

A stage takes a packet, and hands what it makes to those that follow, one after the other, before it takes another one. Stages
without state, and outputs, are one object for all tasks of a worker; stages with state are made for each task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from mainstem.api.batch import Batch
from mainstem.pipeline.engine.counters import StageCounters
from mainstem.pipeline.engine.error_policy import Failed, Guard
from mainstem.pipeline.engine.moments import ReadTimes
from mainstem.pipeline.engine.provenance import Origin
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.stateless import PerRecord, keep, key_columns, map_batches
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.fields import call_each
from mainstem.pipeline.plan.steps import MAIN


class Packet(NamedTuple):
    """A batch on its way. `split` is "" where records of several have been brought together."""

    batch: Batch
    origin: Origin
    times: ReadTimes
    split: str


class Follower(NamedTuple):
    stage: Stage
    port: str


class Stage(ABC):
    """`followers` by the port by which a batch leaves."""

    def __init__(self, name: str, counters: StageCounters) -> None:
        self.name = name
        self.counters = counters
        self.followers: dict[str, list[Follower]] = {}

    @abstractmethod
    async def take(self, packet: Packet, port: str) -> None:
        """Raises: StageFailure wrapped in StoppedAt."""

    async def pass_on(self, packet: Packet, port: str = MAIN) -> None:
        followers = self.followers.get(port)
        if not followers or not len(packet.batch):
            return
        for follower in followers[1:]:
            await follower.stage.take(packet._replace(origin=packet.origin.fork()), follower.port)
        await followers[0].stage.take(packet, followers[0].port)


class StoppedAt(Exception):
    """A failure that ends the run, with its stage and the place of the record."""

    def __init__(self, stage: str, place: str, failure: StageFailure) -> None:
        super().__init__(str(failure))
        self.stage = stage
        self.place = place
        self.failure = failure


class EntryStage(Stage):
    """Where what a task reads comes in."""

    async def take(self, packet: Packet, port: str) -> None:
        records = len(packet.batch)
        self.counters.count(packet.split, records, records)
        await self.pass_on(packet)


class MergeStage(Stage):
    async def take(self, packet: Packet, port: str) -> None:
        records = len(packet.batch)
        self.counters.count(packet.split, records, records)
        await self.pass_on(packet)


class Guarded:
    """What has a name in errors, and a policy for records that it cannot take."""

    def __init__(self, name: str, guard: Guard) -> None:
        self.name = name
        self.guard = guard

    def stopped(self, failure: StageFailure, origin: Origin) -> StoppedAt:
        return StoppedAt(self.name, origin.place(failure.index), failure)

    async def settle(self, batch: Batch, index: int, error: BaseException, origin: Origin, again: Any) -> Any:
        """See `Guard.settle`. Raises: StoppedAt."""
        try:
            return await self.guard.settle(Failed(batch, index, origin, error), again)
        except StageFailure as failure:
            raise self.stopped(failure, origin) from error


class GuardedStage(Guarded, Stage):
    def __init__(self, name: str, counters: StageCounters, guard: Guard) -> None:
        Stage.__init__(self, name, counters)
        Guarded.__init__(self, name, guard)


class Called(NamedTuple):
    """`batch` is without the records that were dropped."""

    batch: Batch
    results: list[Any]


class PerRecordStage(GuardedStage):
    """Map, filter, flat_map, key_by."""

    def __init__(self, name: str, counters: StageCounters, guard: Guard, operator: PerRecord) -> None:
        super().__init__(name, counters, guard)
        self._operator = operator

    async def take(self, packet: Packet, port: str) -> None:
        batch, origin = packet.batch, packet.origin
        records = len(batch)
        try:
            results = self._results(batch)
        except StageFailure as failure:
            if self.guard.stops or failure.index is None:
                raise self.stopped(failure, origin) from failure.cause
            batch, results = await call_guarded(self, self._operator.function, batch, origin, failure)
        made = self._operator.assemble(batch, results, origin)
        self.counters.count(packet.split, records, len(made))
        await self.pass_on(packet._replace(batch=made))

    def _results(self, batch: Batch) -> list[Any]:
        return call_each(self._operator.function, batch.values)


class KeyByStage(PerRecordStage):
    """By fields all keys are taken at once; the function per record is for what fails."""

    def __init__(
        self, name: str, counters: StageCounters, guard: Guard, operator: PerRecord, step: steps.KeyBy
    ) -> None:
        super().__init__(name, counters, guard, operator)
        self._step = step

    def _results(self, batch: Batch) -> list[Any]:
        return super()._results(batch) if self._step.function is not None else key_columns(self._step, batch.values)


async def call_guarded(
    stage: GuardedStage, function: Any, batch: Batch, origin: Origin, failure: StageFailure
) -> Called:
    """Every value with its result, those that fail settled by the policy. `failure` is the first; what came before it is not
    called again. Raises: StoppedAt."""
    results: list[Any] = list(failure.applied or ())
    mask = [True] * len(results)
    for row in range(len(results), len(batch)):
        value = batch.values[row]

        async def again(value: Any = value) -> Any:
            return function(value)

        error: BaseException | None = failure.cause if row == failure.index else None
        if error is None:
            try:
                results.append(function(value))
                mask.append(True)
                continue
            except Exception as raised:  # a user's function may raise anything
                error = raised
        settled = await stage.settle(batch, row, error, origin, again)
        mask.append(settled.is_taken)
        if settled.is_taken:
            results.append(settled.value)
    return Called(keep(batch, mask, origin), results)


class MapBatchesStage(GuardedStage):
    def __init__(self, name: str, counters: StageCounters, guard: Guard, step: steps.MapBatches) -> None:
        super().__init__(name, counters, guard)
        self._function = step.function

    async def take(self, packet: Packet, port: str) -> None:
        records = len(packet.batch)
        try:
            made = await map_batches(self._function, packet.batch, packet.origin)
        except StageFailure as failure:
            raise self.stopped(failure, packet.origin) from failure.cause
        self.counters.count(packet.split, records, len(made))
        await self.pass_on(packet._replace(batch=made))


class BranchStage(GuardedStage):
    def __init__(self, name: str, counters: StageCounters, guard: Guard, step: steps.Branch) -> None:
        super().__init__(name, counters, guard)
        self._ports = tuple(step.predicates)
        predicates = tuple(step.predicates.values())

        def choose(value: Any) -> int:
            for number, predicate in enumerate(predicates):
                if predicate(value):
                    return number
            return -1

        self._choose = choose

    async def take(self, packet: Packet, port: str) -> None:
        batch, origin = packet.batch, packet.origin
        records = len(batch)
        try:
            chosen: Sequence[int] = call_each(self._choose, batch.values)
        except StageFailure as failure:
            if self.guard.stops:
                raise self.stopped(failure, origin) from failure.cause
            batch, chosen = await call_guarded(self, self._choose, batch, origin, failure)
        left = 0
        for number, name in enumerate(self._ports):
            mask = [one == number for one in chosen]
            forked = origin.fork()
            part = keep(batch, mask, forked)
            left += len(part)
            await self.pass_on(packet._replace(batch=part, origin=forked), name)
        self.counters.count(packet.split, records, left)
