"""Which partitions are not read just now, because the app has paused them or more of them is held than it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from faust.types import TP

from mainstem.api.transport import TransportConsumer
from mainstem.faust.delivery import PartitionDelivery
from mainstem.model.ids import TopicPartition

ROOM_WAIT_S = 0.1


class PausedPartitions:
    """Of the app's partitions in its group, as the transport's consumer was told."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._paused: set[TP] = set()

    def __contains__(self, tp: TP) -> bool:
        return tp in self._paused

    @property
    def is_everything(self) -> bool:
        owned = self._consumer.membership.owned
        return bool(owned) and self._paused >= owned

    async def wait_for_room(self) -> None:
        """What a client has read ahead of a partition is thrown away when that is paused: one that is full for a moment only is
        waited for."""
        consumer, now = self._consumer, asyncio.get_running_loop().time
        until = now() + ROOM_WAIT_S
        while (left_s := until - now()) > 0 and not consumer.should_stop and self._waits_for_room():
            await consumer.wait_to_read(left_s)

    def _waits_for_room(self) -> bool:
        """One that nobody delivers just now would be waited for in vain."""
        deliveries: dict[TP, PartitionDelivery] = self._consumer.deliveries
        return any(
            one.is_full and tp not in self._paused and self._consumer.is_delivered(tp) for tp, one in deliveries.items()
        )

    def update(self, source: TransportConsumer) -> None:
        owned = self._consumer.membership.owned
        wanted = {tp for tp in owned if not self._is_wanted(tp)}
        pause, resume = wanted - self._paused, self._paused - wanted
        if pause:
            source.pause([TopicPartition(*tp) for tp in pause])
        if resume:
            source.resume([TopicPartition(*tp) for tp in resume if tp in owned])
        self._paused = wanted

    def _is_wanted(self, tp: TP) -> bool:
        delivery: PartitionDelivery | None = self._consumer.deliveries.get(tp)
        if delivery is None or delivery.is_full or (tp in self._paused and not delivery.has_room):
            return False
        return bool(self._consumer.is_delivered(tp))

    def clear(self) -> None:
        """The consumer is a new one."""
        self._paused.clear()

    def forget(self, tp: TP) -> None:
        self._paused.discard(tp)

    def forget_others(self, kept: Collection[TP]) -> None:
        self._paused.intersection_update(kept)
