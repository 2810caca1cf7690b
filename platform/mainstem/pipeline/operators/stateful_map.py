"""Values together with the state that their key has, and timers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.aggregating import check_keys
from mainstem.pipeline.operators.due_times import DueTimes
from mainstem.pipeline.operators.stateful import Emission, Moment, Stores
from mainstem.pipeline.plan.steps import StatefulMap
from mainstem.pipeline.state.store import Place

STATES, EVENT_TIMERS, WALL_TIMERS = 0, 1, 2


class Context:
    """What a function with a third parameter gets: `key`, `timestamp` (ms) of the record, or of the timer that fired, and
    timers. A key has at most one timer of each kind; setting it again moves it."""

    __slots__ = ("_operator", "key", "timestamp")

    def __init__(self, operator: StatefulMapOperator, key: Any, timestamp: int) -> None:
        self._operator = operator
        self.key = key
        self.timestamp = timestamp

    def set_timer(self, at_ms: int) -> None:
        """Call `on_timer` when the watermark has come to this event time (ms since 1970)."""
        self._operator.set_timer(EVENT_TIMERS, self.key, at_ms)

    def set_wall_timer(self, at_ms: int) -> None:
        """Call `on_timer` when the wall clock has come to this time (ms since 1970)."""
        self._operator.set_timer(WALL_TIMERS, self.key, at_ms)

    def delete_timer(self) -> None:
        self._operator.delete_timer(EVENT_TIMERS, self.key)

    def delete_wall_timer(self) -> None:
        self._operator.delete_timer(WALL_TIMERS, self.key)

    @property
    def now_ms(self) -> int:
        """The wall clock (ms since 1970)."""
        return self._operator.now_ms

    def delete_state(self) -> None:
        """Forget the key; its next record gets a fresh state."""
        self._operator.delete_state(self.key)


class StatefulMapOperator:
    """The state of a key is the object that the user's function changes in place; it is written at the next checkpoint
    whenever the function was called for it."""

    def __init__(self, step: StatefulMap) -> None:
        self._name = step.name
        self._function = step.function
        self._make = step.state_type
        self._takes_context = step.takes_context
        self._on_timer = step.on_timer
        self._due = {EVENT_TIMERS: DueTimes(), WALL_TIMERS: DueTimes()}
        self._forgotten: set[Any] = set()
        self.now_ms = 0

    @property
    def delay_ms(self) -> int:
        return 0

    def open(self, stores: Stores) -> None:
        self._store = stores.own
        for kind, due in self._due.items():
            due.clear()
            for key, at_ms in self._store.load_all(kind).items():
                due.add(at_ms, key)

    def process(self, batch: Batch, port: str, moment: Moment) -> Iterable[Emission]:
        keys = batch.keys
        check_keys(keys)
        self.now_ms = moment.now_ms
        touched = set(keys)
        held = self._store.load(STATES, touched)
        function, make, takes_context = self._function, self._make, self._takes_context
        results: list[Any] = []
        try:
            for key, value, timestamp in zip(keys, batch.values, batch.timestamps, strict=True):
                state = held.get(key)
                if state is None:
                    state = held[key] = make()
                if takes_context:
                    results.append(function(value, state, Context(self, key, timestamp)))
                    self._forget_if_asked(held, key)
                else:
                    results.append(function(value, state))
        except Exception as error:  # a user's function may raise anything; what it did to the state before stays
            self._store.touch(STATES, keys[: len(results) + 1])
            raise StageFailure(error, len(results), applied=self._emissions(batch, results)) from error
        self._store.touch(STATES, touched)
        return self._emissions(batch, results)

    def _emissions(self, batch: Batch, results: list[Any]) -> list[Emission]:
        rows = len(results)
        made = Batch(
            keys=batch.keys[:rows],
            values=results,
            timestamps=batch.timestamps[:rows],
            headers=None if batch.headers is None else batch.headers[:rows],
        )
        return [Emission(made, places=range(rows))] if rows else []

    def _forget_if_asked(self, held: dict[Any, Any], key: Any) -> None:
        if key in self._forgotten:
            self._forgotten.discard(key)
            held.pop(key, None)

    # Timers, and what a context asks for.

    def set_timer(self, kind: int, key: Any, at_ms: int) -> None:
        if self._on_timer is None:
            raise ValueError(f"{self._name} sets a timer and has no on_timer= that it could call")
        if isinstance(at_ms, bool) or not isinstance(at_ms, int):
            raise TypeError(f"a timer is set to a time in ms since 1970, got {at_ms!r}")
        self._store.load(kind, (key,))[key] = at_ms
        self._store.touch(kind, (key,))
        self._due[kind].add(at_ms, key)

    def delete_timer(self, kind: int, key: Any) -> None:
        if self._store.load(kind, (key,)).pop(key, None) is not None:
            self._store.touch(kind, (key,))

    def delete_state(self, key: Any) -> None:
        self._forgotten.add(key)

    def on_watermark(self, watermark_ms: int) -> Iterator[Emission]:
        yield from self._fire(EVENT_TIMERS, watermark_ms)

    def on_wall_clock(self, now_ms: int) -> Iterator[Emission]:
        self.now_ms = now_ms
        yield from self._fire(WALL_TIMERS, now_ms)

    def _fire(self, kind: int, until_ms: int) -> Iterator[Emission]:
        for due in self._due[kind].take(until_ms):
            timers = self._store.load(kind, (due.key,))
            if timers.get(due.key) != due.time_ms:
                continue  # moved or deleted
            del timers[due.key]
            self._store.touch(kind, (due.key,))
            yield from self._call(due.key, due.time_ms)

    def _call(self, key: Any, at_ms: int) -> Iterator[Emission]:
        assert self._on_timer is not None, "nobody could set one"
        held = self._store.load(STATES, (key,))
        state = held.get(key)
        if state is None:
            state = held[key] = self._make()
        results = list(self._on_timer(state, Context(self, key, at_ms)) or ())
        self._forget_if_asked(held, key)
        self._store.touch(STATES, (key,))
        if results:
            batch = Batch(keys=[key] * len(results), values=results, timestamps=[at_ms] * len(results))
            yield Emission(batch, about=f"timer of key {key!r:.60}")

    def shown(self, place: Place, value: Any) -> Any:
        return value

    def next_wall_clock_ms(self) -> int | None:
        return self._due[WALL_TIMERS].next_ms

    def closed_until_ms(self) -> int | None:
        return None
