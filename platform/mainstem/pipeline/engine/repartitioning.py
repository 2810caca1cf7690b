"""Records on their way to another task, by their key, through a topic of the pipeline's own.

Event time must not get lost on the way: records of a fast and of a slow task meet in one partition. So each writing task tells
every partition how far its watermark is, by a record without key and value whose header says so, and the reader's watermark is
the least of all writers'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from mainstem.api.batch import Batch
from mainstem.api.context import Clock
from mainstem.model.columns import Headers
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.counters import StageCounters
from mainstem.pipeline.engine.error_policy import Guard
from mainstem.pipeline.engine.outputs import Produce, TopicOutput
from mainstem.pipeline.engine.waiting_stages import TopicStage

WATERMARK_HEADER = "mainstem.watermark"
# Records go when they are committed (`purging`), however old they are: event time may be years ago.
REPARTITION_CONFIGS: Mapping[str, str] = {"cleanup.policy": "delete", "retention.ms": "-1"}


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What the header of a watermark record says; `watermark_ms` END: nothing more will come of this writer."""

    writer: int
    watermark_ms: int
    is_idle: bool


class RepartitionStage(TopicStage):
    """`delay_ms`: how far what leaves here may be behind the watermark of the task."""

    def __init__(
        self,
        name: str,
        counters: StageCounters,
        guard: Guard,
        output: TopicOutput,
        *,
        producer: Produce,
        clock: Clock,
        delay_ms: int,
    ) -> None:
        super().__init__(name, counters, guard, output)
        self.delay_ms = delay_ms
        self._producer = producer
        self._clock = clock

    async def tell_watermark(self, writer: int, watermark_ms: int, *, is_idle: bool) -> None:
        told = msgspec.msgpack.encode(Told(writer, watermark_ms, is_idle))
        record = Batch(
            keys=[None], values=[None], timestamps=[self._clock.now_ms()], headers=[((WATERMARK_HEADER, told),)]
        )
        for number in range(self.output.partition_count):
            await self._producer.produce(TopicPartition(self.output.topic, number), record)


class Run(NamedTuple):
    """Records that follow each other, from `start` up to `end`, and what was told right behind them."""

    start: int
    end: int
    told: Sequence[Told]


def runs(batch: Batch) -> list[Run]:
    """Cut a batch of a repartition topic at its watermark records, which lie in none of the runs."""
    headers = batch.headers
    if headers is None:
        return [Run(0, len(batch), ())]
    found: list[Run] = []
    start = 0
    told: list[Told] = []
    end = 0
    for place, pairs in enumerate(headers):
        one = _told(batch, place, pairs)
        if one is None:
            if told:
                found.append(Run(start, end, tuple(told)))
                told = []
                start = place
            end = place + 1
            continue
        if not told:
            end = place
        told.append(one)
    if told or end > start:
        found.append(Run(start, end, tuple(told)))
    return found


def _told(batch: Batch, place: int, pairs: Headers) -> Told | None:
    if batch.keys[place] is not None or batch.values[place] is not None or not pairs:
        return None
    name, value = pairs[0]
    if name != WATERMARK_HEADER or value is None:
        return None
    return msgspec.msgpack.decode(value, type=Told)
