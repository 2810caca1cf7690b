"""From what a transport fetched to what a task takes: decoded, with event times, cut where watermarks were told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.serde import SerdeError, Serializer
from mainstem.api.transport import FetchedBatch
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.provenance import SourceOrigin
from mainstem.pipeline.engine.repartitioning import Run, Told, runs
from mainstem.pipeline.engine.stages import Guarded
from mainstem.pipeline.engine.task import Mail, Mark
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.stateless import keep, slice_of
from mainstem.pipeline.plan.fields import Selector, event_times


class Route:
    """One topic's way into a section. `decoder` is the source's stage, or the repartition's, with its policy."""

    def __init__(
        self,
        topic: str,
        section: str,
        entry: str,
        decoder: Guarded,
        *,
        key: Serializer,
        value: Serializer,
        timestamp: Selector | None,
    ) -> None:
        self.topic = topic
        self.section = section
        self.entry = entry
        self.from_latest = False
        self._decoder = decoder
        self._key = key
        self._value = value
        self._timestamp = timestamp

    def splits(self, partition: TopicPartition) -> Sequence[str]:
        """Whose event time counts."""
        return [str(partition)]

    async def decode(self, fetched: FetchedBatch, at_end: bool) -> Sequence[Mail]:
        """Raises: StoppedAt."""
        return [Mail(self.entry, await self._decoded(fetched, at_end))]

    async def _decoded(self, fetched: FetchedBatch, at_end: bool) -> SourceBatch:
        raw = fetched.batch
        read = SourceBatch(
            split=str(fetched.partition),
            batch=raw,
            next_position=fetched.next_offset,
            at_end=at_end,
            offsets=fetched.offsets,
            raw=raw,
        )
        if len(raw):
            try:
                read.batch = self._decode(raw)
            except StageFailure as failure:
                if self._decoder.guard.stops or failure.index is None:
                    raise self._decoder.stopped(failure, SourceOrigin(read)) from failure.cause
                read = await self._decode_guarded(read)
        return read

    def _decode(self, raw: Batch) -> Batch:
        values = _loads(self._value, raw.values, "value")
        return Batch(
            keys=_loads(self._key, raw.keys, "key"),
            values=values,
            timestamps=raw.timestamps if self._timestamp is None else self._event_times(self._timestamp, values),
            headers=raw.headers,
        )

    def _event_times(self, timestamp: Selector, values: list[Any]) -> list[int]:
        try:
            return event_times(timestamp, values)
        except StageFailure as failure:
            raise StageFailure(f"the event time cannot be read: {failure}", failure.index) from failure

    async def _decode_guarded(self, read: SourceBatch) -> SourceBatch:
        """Record by record, those that cannot be decoded settled by the source's policy."""
        raw = read.batch
        origin = SourceOrigin(read)
        done = Batch(keys=[], values=[], timestamps=[], headers=None if raw.headers is None else [])
        mask: list[bool] = []
        for row in range(len(raw)):
            one = slice_of(raw, row, row + 1)

            async def again(one: Batch = one) -> Batch:
                return self._decode(one)

            try:
                decoded: Batch | None = self._decode(one)
            except StageFailure as failure:
                settled = await self._decoder.settle(raw, row, failure.cause or failure, origin, again)
                decoded = settled.value if settled.is_taken else None
            mask.append(decoded is not None)
            if decoded is not None:
                done.keys += decoded.keys
                done.values += decoded.values
                done.timestamps += decoded.timestamps
        kept = keep(raw, mask, origin)
        done.headers = kept.headers
        assert read.offsets is not None, "topics have offsets"
        return SourceBatch(
            split=read.split,
            batch=done,
            next_position=read.next_position,
            at_end=read.at_end,
            offsets=[offset for offset, is_kept in zip(read.offsets, mask, strict=True) if is_kept],
            raw=kept,
        )


class RepartitionRoute(Route):
    """`writers`: tasks in front of the topic, each of which tells how far its event time is."""

    writers = 0

    def splits(self, partition: TopicPartition) -> Sequence[str]:
        return [self._split(partition, writer) for writer in range(self.writers)]

    def _split(self, partition: TopicPartition, writer: int) -> str:
        return f"{partition}/{writer}"

    async def decode(self, fetched: FetchedBatch, at_end: bool) -> Sequence[Mail]:
        found = runs(fetched.batch)
        mails = []
        for number, run in enumerate(found):
            is_last = number == len(found) - 1
            following = None if is_last else found[number + 1]
            part = self._part(fetched, run, following)
            read = await self._decoded(part, False)
            marks = [self._mark(fetched.partition, told) for told in run.told]
            mails.append(Mail(self.entry, read, marks))
        return mails or [Mail(self.entry, await self._decoded(fetched, False), ())]

    def _part(self, fetched: FetchedBatch, run: Run, following: Run | None) -> FetchedBatch:
        """What was told behind a run is taken with it, so the position behind it is where the next run begins."""
        if following is None:
            next_offset = fetched.next_offset
        elif following.start < len(fetched.offsets):
            next_offset = fetched.offsets[following.start]
        else:
            next_offset = fetched.next_offset
        return FetchedBatch(
            partition=fetched.partition,
            batch=slice_of(fetched.batch, run.start, run.end),
            offsets=fetched.offsets[run.start : run.end],
            next_offset=next_offset,
            end_offset=fetched.end_offset,
        )

    def _mark(self, partition: TopicPartition, told: Told) -> Mark:
        return Mark(self._split(partition, told.writer), told.watermark_ms, told.is_idle)


def _loads(serializer: Serializer, data: list[Any], side: str) -> list[Any]:
    try:
        return serializer.loads_many(data)
    except SerdeError as error:
        raise StageFailure(f"the {side} cannot be read: {error.reason}", error.index) from error
