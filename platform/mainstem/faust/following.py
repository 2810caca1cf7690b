"""Partitions that are read without a group: changelogs of global tables, and replies to an app that is only a client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from faust.types import TP

from mainstem.faust.delivery import PartitionDelivery
from mainstem.model.ids import TopicPartition

READ_RECORDS = 4_096
READ_WAIT_MS = 100
FULL_WAIT_S = 0.01


class Followers:
    """A task per partition. It begins at the start of the partition, or where `seek` puts it."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._positions: dict[TP, int] = {}
        self._tasks: dict[TP, asyncio.Future[Any]] = {}

    def follow(self, partitions: Iterable[TP], positions: Mapping[TP, int] | None = None) -> None:
        """These and no others."""
        wanted = set(partitions)
        self._positions.update(positions or {})
        for tp in [tp for tp in self._tasks if tp not in wanted]:
            self._tasks.pop(tp).cancel()
        for tp in wanted:
            if tp not in self._tasks:
                self._positions.setdefault(tp, 0)
                self._tasks[tp] = self._consumer.add_future(self._follow(tp))

    def seek(self, tp: TP, offset: int) -> None:
        self._positions[tp] = offset

    async def _follow(self, tp: TP) -> None:
        consumer = self._consumer
        partition = TopicPartition(*tp)
        transport = consumer.transport.session.transport
        while not consumer.should_stop:
            delivery: PartitionDelivery | None = consumer.deliveries.get(tp)
            if delivery is None or delivery.is_full or tp not in consumer._active_partitions:
                await asyncio.sleep(FULL_WAIT_S)
                continue
            offset = self._positions[tp]
            fetched = await transport.read(partition, offset, max_records=READ_RECORDS, max_wait_ms=READ_WAIT_MS)
            if self._positions[tp] != offset or consumer.deliveries.get(tp) is not delivery:
                continue  # sought meanwhile
            self._positions[tp] = fetched.next_offset
            if fetched.next_offset > offset:
                consumer.hold(fetched)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
