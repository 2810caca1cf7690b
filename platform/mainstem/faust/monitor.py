"""Faust's monitor, counted by the slice as long as nobody else listens."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from faust.sensors.monitor import Monitor as FaustMonitor
from faust.types import TP


class Monitor(FaustMonitor):
    """With a sensor beside it that is not ours (Datadog, Prometheus, the app's own), every event is told to all of them.

    Without, messages and events are counted when they are delivered, and what only per-event timing could know
    (`events_runtime`, `message.time_in`) stays empty.
    """

    def delivered(self, tp: TP, channels: Sequence[Any], count: int, last_offset: int) -> None:
        self.messages_received_total += count
        self.messages_received_by_topic[tp.topic] += count
        self.tp_read_offsets[tp] = last_offset
        self.stream_inbound_time[tp] = monotonic()
        self.events_total += count * len(channels)
        for channel in channels:
            self.events_by_stream[f"Topic: {channel}"] += count

    def sent(self, topic: str, count: int) -> None:
        self.messages_sent += count
        self.messages_sent_by_topic[topic] += count

    def counted_key(self, table: Any) -> Any:
        """The counters of a table."""
        return self._table_or_create(table)


def own_monitor(app: Any) -> Monitor | None:
    """The monitor to count in by the slice; None while foreign sensors are told of each event, and it with them."""
    monitor = app._monitor
    sensors = app.sensors._sensors
    return monitor if type(monitor) is Monitor and len(sensors) == 1 and monitor in sensors else None
