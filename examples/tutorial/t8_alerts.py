"""8. A sensor that was silent for a minute is told, and so is its return: state of your own, and timers in event time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mainstem import Pipeline, run

SILENCE_MS = 60_000


@dataclass
class Sensor:
    last_value: float = 0.0
    is_silent: bool = False


def watch(reading: dict[str, Any], sensor: Sensor, context: Any) -> str | None:
    came_back = sensor.is_silent
    sensor.last_value, sensor.is_silent = reading["value"], False
    context.set_timer(context.timestamp + SILENCE_MS)
    return f"{context.key} is back" if came_back else None


def silent(sensor: Sensor, context: Any) -> Iterator[str]:
    sensor.is_silent = True
    yield f"{context.key} is silent, last value {sensor.last_value}"


alerts = (
    Pipeline("alerts")
    .source("readings", key="string", value="json", timestamp="at")
    .stateful_map(watch, Sensor, on_timer=silent)
    .filter(lambda text: text is not None)
    .sink("alerts", key="string", value="string")
)

if __name__ == "__main__":
    run(alerts)
