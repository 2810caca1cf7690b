"""Drives one operator as a task does: batches of records with watermarks, and a crash wherever a test wants one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mainstem.api.batch import Batch, SourceBatch
from mainstem.pipeline.engine.moments import ReadTimes, StageMoment
from mainstem.pipeline.engine.provenance import SourceOrigin
from mainstem.pipeline.engine.watermarks import END, Watermarks
from mainstem.pipeline.operators.open_stateful import open_stateful
from mainstem.pipeline.operators.stateful import Emission
from mainstem.pipeline.plan.steps import LATE, Stateful
from mainstem.pipeline.state.encoding import StateCodec
from mainstem.pipeline.state.store import MISSING, MemoryStore, Store


class Record(NamedTuple):
    key: Any
    value: Any
    time: int
    port: str = ""


class Out(NamedTuple):
    key: Any
    value: Any
    time: int


class _Stores:
    def __init__(self, own: MemoryStore, tables: dict[str, MemoryStore]) -> None:
        self.own: Store = own
        self._tables = tables

    def of_table(self, step: str) -> Store:
        return self._tables[step]


class Driven:
    """One operator in one task. What it emits is in `out`, what was late in `late`."""

    def __init__(self, step: Stateful, *, ports: Sequence[str] = ("",)) -> None:
        self.out: list[Out] = []
        self.late: list[Out] = []
        self.now_ms = 0
        self._step = step
        self._codec = StateCodec(step.name, getattr(step, "state_type", None))
        self._kept: dict[bytes, bytes] = {}
        self.marks = Watermarks()
        for port in ports:
            self.marks.assign(port)
        self._open()

    def _open(self) -> None:
        self.store = MemoryStore(self._step.name)
        for key, value in self._kept.items():
            place = self._codec.place(key)
            self.store.restore(place, self._codec.read(place, value))
        self.operator = open_stateful(self._step)
        self.operator.open(_Stores(self.store, {}))

    def crash(self) -> None:
        """A checkpoint, and everything in memory is gone."""
        for place, value in self.store.take_changes():
            key = self._codec.key(place)
            if value is MISSING:
                self._kept.pop(key, None)
            else:
                self._kept[key] = self._codec.value(place, value)
        self._open()

    def batch(self, records: Sequence[Record]) -> None:
        """All of one port."""
        port = records[0].port
        batch = Batch(
            keys=[one.key for one in records],
            values=[one.value for one in records],
            timestamps=[one.time for one in records],
        )
        read = SourceBatch(split=port, batch=batch, next_position=0)
        times = ReadTimes(self.marks, self.now_ms, port, batch.timestamps, declared=False)
        moment = StageMoment(times, SourceOrigin(read), len(batch), 0)
        self._take(self.operator.process(batch, port, moment))
        self.marks.observe(port, max(batch.timestamps))
        self.advance()

    def advance(self) -> None:
        before = self.marks.current
        if self.marks.advance() > before:
            self._take(self.operator.on_watermark(self.marks.current))

    def finish(self) -> None:
        self._take(self.operator.on_watermark(END))

    def tick(self, now_ms: int) -> None:
        self.now_ms = now_ms
        due = self.operator.next_wall_clock_ms()
        if due is not None and due <= now_ms:
            self._take(self.operator.on_wall_clock(now_ms))

    def _take(self, emissions: Any) -> None:
        for emission in emissions:
            assert isinstance(emission, Emission)
            found = self.late if emission.port == LATE else self.out
            columns = zip(emission.batch.keys, emission.batch.values, emission.batch.timestamps, strict=True)
            found.extend(Out(*row) for row in columns)
            assert emission.places is None or len(emission.places) == len(emission.batch)


def drive(
    step: Stateful,
    records: Sequence[Record],
    cuts: Sequence[int],
    crashes: Sequence[bool],
    *,
    ports: Sequence[str] = ("",),
) -> Driven:
    """Records in their order, cut into batches (a new one also where the port changes), crashed after some of them."""
    driven = Driven(step, ports=ports)
    batches: list[list[Record]] = []
    ends = set(cuts)
    for number, record in enumerate(records):
        if not batches or number in ends or batches[-1][-1].port != record.port:
            batches.append([])
        batches[-1].append(record)
    for number, batch in enumerate(batches):
        driven.batch(batch)
        if number < len(crashes) and crashes[number]:
            driven.crash()
    driven.finish()
    return driven
