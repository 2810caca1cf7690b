"""Which channels read which partition. Delivery asks for them slice by slice, so nothing has to be compiled per partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faust.transport.conductor import Conductor as FaustConductor
from faust.types import TP

RESUBSCRIBE_AFTER_S = 0.25


class Conductor(FaustConductor):
    """Faust indexes a channel at the next assignment only, and waits 45 s for one. Here a second channel of a topic that is
    subscribed reads at once, and a new topic is subscribed after a quarter of a second, because a new assignment is cheap."""

    _resubscribe_sleep_lock_seconds = RESUBSCRIBE_AFTER_S

    def channels_of(self, tp: TP) -> Sequence[Any]:
        return tuple(self._tp_index.get(tp, ()))

    def _update_callback_map(self) -> None:
        """No callbacks: the consumer delivers."""

    def add(self, topic: Any) -> None:
        is_new = topic not in self._topics
        super().add(topic)
        if not is_new:
            return
        if topic.acks:
            self._acking_topics.update(name for name in topic.topics if name in self._topic_name_index)
        for tp, channels in self._tp_index.items():
            if tp.topic in topic.topics and topic.active_partitions is None:
                channels.add(topic)
        self._wake()

    def discard(self, topic: Any) -> None:
        super().discard(topic)
        for channels in self._tp_index.values():
            channels.discard(topic)

    async def on_partitions_assigned(self, assigned: set[TP]) -> None:
        await super().on_partitions_assigned(assigned)
        self._wake()

    async def on_client_only_start(self) -> None:
        await super().on_client_only_start()
        self._wake()

    def _wake(self) -> None:
        consumer = self.app._consumer  # type: ignore[attr-defined]  # the property would make one
        if consumer is not None:
            consumer.wake()
