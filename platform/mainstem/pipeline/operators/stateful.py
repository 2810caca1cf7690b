"""What a step with state by key is for the engine. One object per step and task (a partition of a section of the plan).

    process(batch, port, moment)   records of one batch, of one split ─┐
    on_watermark(watermark_ms)     event time has come so far          ├─> emissions, in order
    on_wall_clock(now_ms)          time has passed                     ┘

Everything that must survive lies in the store that `open` got; what is derived from it (heaps of timers, running
minima) is built again in `open`, which is called anew after a restore. Nothing here waits or knows of the engine.

A user's function that fails at one record: raise `StageFailure(error, index, applied=emissions)` where `applied` is what
the records before `index` made and the store holds just what those did; or `StageFailure(error, index)` with nothing of
the batch taken in. The engine then asks the step's policy and comes again with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from mainstem.api.batch import Batch
from mainstem.pipeline.plan.steps import MAIN
from mainstem.pipeline.state.store import Place, Store

NEVER_MS = 1 << 61
"""No event time comes so far; see `engine.watermarks.END`."""


class Emission(NamedTuple):
    """Records that a step made. `places[i]` is the place in the processed batch that record `i` came from; None where it
    was made of several records, as the result of a window is. `about` then says of what: `window 2013-01-01T00:00:00Z`."""

    batch: Batch
    port: str = MAIN
    places: Sequence[int] | None = None
    about: str = ""


class Moment(Protocol):
    """How far time is while one batch is processed, for this step. All in ms."""

    @property
    def now_ms(self) -> int:
        """The wall clock."""

    @property
    def watermark_ms(self) -> int:
        """Before the first record of the batch."""

    @property
    def reach_ms(self) -> int:
        """No record of the batch finds the watermark above this: where nothing can be late below it, do not look at each."""

    def before_each(self) -> Sequence[int]:
        """The watermark just before each record of the batch, as if they came one by one."""


class Stores(Protocol):
    """What a step may keep things in."""

    @property
    def own(self) -> Store: ...

    def of_table(self, step: str) -> Store:
        """The store of a table of the same section, to look things up; group 0, by key."""


class StatefulOperator(Protocol):
    @property
    def delay_ms(self) -> int:
        """A result may be older than the watermark at which it is emitted by at most so much; what follows sees the
        watermark that much later, so that results are not late there."""

    def open(self, stores: Stores) -> None:
        """The store is as the last checkpoint left it. Called again when the engine has rolled a task back."""

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        """Raises: StageFailure. Consumed completely before anything else is called."""

    def on_watermark(self, watermark_ms: int) -> Iterable[Emission]:
        """NEVER_MS and above: a bounded run has ended."""

    def on_wall_clock(self, now_ms: int) -> Iterable[Emission]: ...

    def shown(self, place: Place, value: Any) -> Any:
        """An entry of the store as whoever queries it wants to see it."""

    def closed_until_ms(self) -> int | None:
        """The watermark that would have closed what was closed so far; None: nothing was. When a bounded run ends, all
        windows close before their time, and a later run must not open them again."""

    def next_wall_clock_ms(self) -> int | None:
        """When `on_wall_clock` has something to do, None if not at all. Asked after every call."""
