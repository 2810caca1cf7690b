"""Repartition topics keep nothing that was committed: its readers are tasks of this pipeline, and they have it.

As in Kafka Streams (`repartition.purge.interval.ms`) nothing else ends such a record, and no age does: records of a replay are
old when they are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from mainstem.api.context import Clock, Log
from mainstem.api.transport import Transport, TransportError
from mainstem.model.ids import TopicPartition


class Purging:
    """Of one worker, in the background. A refusal is logged, once as long as its words are the same: records that stay cost
    disk only."""

    def __init__(
        self, transport: Transport, topics: Collection[str], clock: Clock, log: Log, *, interval_ms: int
    ) -> None:
        self._transport = transport
        self._topics = frozenset(topics)
        self._clock = clock
        self._log = log
        self._interval_ms = interval_ms
        self._purged_ms = clock.monotonic_ms()
        self._before: dict[TopicPartition, int] = {}
        self._running: asyncio.Task[None] | None = None
        self._refused = ""

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Call after they are."""
        self._before.update((one, offset) for one, offset in offsets.items() if one.topic in self._topics)

    def step(self) -> None:
        """Call again and again."""
        if self._running is not None and self._running.done():
            running, self._running = self._running, None
            running.result()
        now_ms = self._clock.monotonic_ms()
        if self._before and self._running is None and now_ms - self._purged_ms >= self._interval_ms:
            self._purged_ms = now_ms
            before, self._before = self._before, {}
            self._running = asyncio.ensure_future(self._purge(before))

    async def _purge(self, before: Mapping[TopicPartition, int]) -> None:
        try:
            await self._transport.delete_records(before)
            self._refused = ""
        except TransportError as error:
            if str(error) != self._refused:
                self._refused = str(error)
                self._log.warning("pipeline.repartition_topics_grow", error=str(error))

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
