"""What the components of this process can report. Reading happens at scrape time only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mainstem.api.sensor import Metric, Sample


class Sensors:
    """See `api.sensor.Sensor`. A snapshot is an iteration over what was registered."""

    def __init__(self) -> None:
        self._registered: list[tuple[Metric, Callable[[], Iterable[Sample]]]] = []

    def register(self, metric: Metric, read: Callable[[], Iterable[Sample]]) -> None:
        self._registered.append((metric, read))

    def snapshot(self) -> Iterator[tuple[Metric, Iterable[Sample]]]:
        for metric, read in self._registered:
            yield metric, read()
