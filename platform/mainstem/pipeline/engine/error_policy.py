"""What a stage does with a record that it cannot take. One guard per stage; see `plan.policies`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol, assert_never

from mainstem.api.batch import Batch
from mainstem.api.context import Log
from mainstem.pipeline.engine.counters import StageCounters
from mainstem.pipeline.engine.provenance import Origin
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.plan.policies import Dlq, Policy, Retry, Skip, Stop, last_resort


class Failed(NamedTuple):
    """A record that failed: `row` is its place in `batch`, whose origin is known as far as `origin` knows."""

    batch: Batch
    row: int
    origin: Origin
    error: BaseException


class DeadLetterWriter(Protocol):
    async def write(self, topic: str, stage: str, failed: Failed, attempts: int) -> None:
        """Durable with the next checkpoint."""


class Settled(NamedTuple):
    """`is_taken`: a retry gave `value`. Otherwise the record is dropped."""

    is_taken: bool
    value: Any = None


DROPPED = Settled(False)
Sleep = Callable[[int], Awaitable[None]]


class Guard:
    def __init__(
        self,
        stage: str,
        policy: Policy,
        *,
        pipeline: str,
        counters: StageCounters,
        dead_letters: DeadLetterWriter,
        sleep_ms: Sleep,
        log: Log,
    ) -> None:
        self.stage = stage
        self._policy = policy
        self._counters = counters
        self._dead_letters = dead_letters
        self._sleep_ms = sleep_ms
        self._log = log
        self._pipeline = pipeline
        self._set_aside = 0

    @property
    def stops(self) -> bool:
        """There is nothing to settle: every failure ends the run."""
        return isinstance(self._policy, Stop)

    def waits_ms(self) -> list[int]:
        """How long to wait before each further try."""
        policy = self._policy
        return [policy.wait_ms(attempt) for attempt in range(1, policy.times + 1)] if isinstance(policy, Retry) else []

    async def settle(self, failed: Failed, again: Callable[[], Awaitable[Any]]) -> Settled:
        """`again` tries the record once more and may raise anything. Raises: StageFailure where the policy ends in Stop."""
        attempts = 1
        for wait_ms in self.waits_ms():
            await self._sleep_ms(wait_ms)
            self._counters.retries += 1
            attempts += 1
            try:
                return Settled(True, await again())
            except Exception as error:  # a user's function or a stranger's sink may raise anything
                failed = failed._replace(error=_cause(error))
        policy = last_resort(self._policy)
        match policy:
            case Stop():
                told = str(failed.error) if isinstance(failed.error, StageFailure) else failed.error
                raise StageFailure(told, failed.row)
            case Skip():
                self._counters.skipped += 1
            case Dlq():
                self._counters.dead_letters += 1
                await self._dead_letters.write(policy.topic, self.stage, failed, attempts)
            case _:
                assert_never(policy)
        self._set_aside += 1
        # All of them at DEBUG; the first, the tenth, the hundredth and so on for everybody.
        tell = self._log.warning if str(self._set_aside).strip("0") == "1" else self._log.debug
        tell(
            "pipeline.record_set_aside",
            pipeline=self._pipeline,
            stage=self.stage,
            count=self._set_aside,
            place=failed.origin.place(failed.row),
            error=f"{type(failed.error).__name__}: {failed.error}",
            policy=type(policy).__name__.lower(),
        )
        return DROPPED


def _cause(error: Exception) -> BaseException:
    return error.cause if isinstance(error, StageFailure) and error.cause is not None else error
