"""Topics as an input of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mainstem.api.batch import SourceBatch
from mainstem.api.context import Log
from mainstem.api.serde import SerdeError, Serializer
from mainstem.api.transport import FetchedBatch, Transport, TransportConsumer
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.inputs import InputFailure, SplitListener, set_event_times
from mainstem.pipeline.engine.provenance import SourceOrigin
from mainstem.pipeline.plan.fields import Selector


class TopicInput:
    """Topics, as a member of the consumer group that has the pipeline's name.

    `needs_all`: window states are in this process, so it must have every partition. A member that is given a
    part at its start is refused; one that had all waits until the other is gone.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        group_id: str,
        topics: Sequence[str],
        key: Serializer,
        value: Serializer,
        timestamp: Selector | None,
        from_latest: bool,
        once: bool,
        needs_all: bool,
        max_records: int,
        log: Log,
    ) -> None:
        self._transport = transport
        self._group_id = group_id
        self._topics = topics
        self._key = key
        self._value = value
        self._timestamp = timestamp
        self._from_latest = from_latest
        self._once = once
        self._needs_all = needs_all
        self._max_records = max_records
        self._log = log
        self._missed: set[str] = set()
        self._consumer: TransportConsumer | None = None
        self._listener: SplitListener | None = None
        self._partitions: dict[str, TopicPartition] = {}
        self._all: set[TopicPartition] = set()
        self._targets: dict[TopicPartition, int] = {}
        self._assigned: frozenset[TopicPartition] | None = None
        self._had_all = False
        self._at_end: set[str] = set()
        self._lag: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._began: dict[str, int] = {}

    @property
    def is_finished(self) -> bool:
        return self._once and self._assigned is not None and self._at_end >= {str(one) for one in self._assigned}

    @property
    def records_total(self) -> int | None:
        if not self._once:
            return None
        return sum(max(0, self._targets[self._partitions[split]] - first) for split, first in self._first.items())

    async def open(self, listener: SplitListener) -> None:
        self._listener = listener
        await self._subscribe()

    async def _subscribe(self) -> None:
        """Join the group, if the topics are there. One that is missing is an error for a single run, and waited for by
        an endless one: programs that write and read a topic may start in any order."""
        for topic in self._topics:
            if await self._transport.partition_count(topic) is None:
                if self._once:
                    reason = f"topic {topic} does not exist; create it, or start what writes to it first"
                    raise InputFailure("", reason)
                if topic not in self._missed:
                    self._missed.add(topic)
                    self._log.warning("pipeline.waits_for_topic", pipeline=self._group_id, topic=topic)
                return
            for partition, (_, end) in (await self._transport.end_offsets(topic)).items():
                self._partitions[str(partition)] = partition
                self._targets[partition] = end
        self._all = set(self._targets)
        self._consumer = self._transport.consumer(self._group_id, from_latest=self._from_latest)
        await self._consumer.subscribe(self._topics, self)

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        assert self._listener is not None
        assert self._consumer is not None
        has_all = self._all <= set(partitions)
        self._partitions.update({str(partition): partition for partition in partitions})
        if self._needs_all and not has_all:
            if self._once or (partitions and not self._had_all):
                raise InputFailure("", self._other_member(len(self._all) - len(partitions)))
            self._consumer.pause(partitions)
            self._assigned = frozenset()
            return
        self._had_all = has_all
        self._assigned = frozenset(partitions)
        for partition in partitions:
            self._targets.setdefault(partition, 0)
        await self._listener.assigned([str(partition) for partition in partitions])

    def _other_member(self, elsewhere: int) -> str:
        return (
            f"consumer group {self._group_id} has another member, which holds {elsewhere} of "
            f"{len(self._all)} partitions. A window needs all records of a key in one process: run one "
            "worker of this pipeline, or give this one another name"
        )

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        assert self._listener is not None
        await self._listener.revoked(self._forget(partitions))

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        assert self._listener is not None
        await self._listener.lost(self._forget(partitions))

    def _forget(self, partitions: Sequence[TopicPartition]) -> list[str]:
        splits = [str(partition) for partition in partitions if partition in (self._assigned or ())]
        self._assigned = None
        self._at_end.difference_update(splits)
        for split in splits:
            self._lag.pop(split, None)
            self._began.pop(split, None)
        return splits

    def position(self, split: str) -> Any:
        return self._began.get(split)

    def lag(self, split: str) -> int | None:
        return self._lag.get(split)

    async def read(self, max_wait_ms: int) -> Sequence[SourceBatch]:
        if self._consumer is None:
            await asyncio.sleep(max_wait_ms / 1000)
            await self._subscribe()
            return []
        fetched = await self._consumer.fetch(max_records=self._max_records, max_wait_ms=max_wait_ms)
        known = len(self._began)
        reads = [self._decode(one) for one in fetched if self._assigned and one.partition in self._assigned]
        if self._from_latest and len(self._began) > known:
            # Without it, a crash before the first checkpoint would begin at a later end, and skip what was read.
            await self.commit(self._began)
        return reads

    def _decode(self, fetched: FetchedBatch) -> SourceBatch:
        split, batch = str(fetched.partition), fetched.batch
        read = SourceBatch(split=split, batch=batch, next_position=fetched.next_offset, offsets=fetched.offsets)
        batch.keys = _loads(self._key, batch.keys, "key", read)
        batch.values = _loads(self._value, batch.values, "value", read)
        if self._timestamp is not None:
            set_event_times(read, self._timestamp)
        self._note_progress(split, fetched, read)
        return read

    def _note_progress(self, split: str, fetched: FetchedBatch, read: SourceBatch) -> None:
        self._lag[split] = max(0, fetched.end_offset - fetched.next_offset)
        first = fetched.offsets[0] if fetched.offsets else fetched.next_offset
        self._first.setdefault(split, first)
        self._began.setdefault(split, first)
        reached_end = fetched.next_offset >= min(self._targets[fetched.partition], fetched.end_offset)
        if self._once and reached_end and split not in self._at_end:
            assert self._consumer is not None
            self._at_end.add(split)
            self._consumer.pause([fetched.partition])
            read.at_end = True

    async def commit(self, positions: Mapping[str, Any]) -> None:
        assert self._consumer is not None
        if positions:
            await self._consumer.commit({self._partitions[split]: offset for split, offset in positions.items()})

    async def close(self) -> None:
        if self._consumer is not None:
            await self._consumer.close()


def _loads(serializer: Serializer, data: list[Any], side: str, read: SourceBatch) -> list[Any]:
    try:
        return serializer.loads_many(data)
    except SerdeError as error:
        place = SourceOrigin(read).place(error.index)
        raise InputFailure(place, f"the {side} cannot be read: {error.reason}") from error
