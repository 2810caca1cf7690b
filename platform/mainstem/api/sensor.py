"""The metrics port. Plugins count; whoever exports reads the numbers when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mainstem.api.spec import PluginConfig


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric at this moment."""

    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric of the table in `telemetry.metrics`. `kind` is `counter`, `gauge` or `histogram`.

    A histogram's samples carry the label `le` last and are cumulative; `_sum` and `_count` follow as samples with the
    labels `("sum",)` and `("count",)` in that place.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


Snapshot = Iterable[tuple[Metric, Iterable[Sample]]]


class Sensor(Protocol):
    """Where a component registers what it can report. `read` is called at scrape time only, so counting costs nothing more
    than adding to an integer of the component's own."""

    def register(self, metric: Metric, read: Callable[[], Iterable[Sample]]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorExporter:
    """Descriptor of a plugin that shows a snapshot to the world. `render(snapshot)` returns (content type, body)."""

    name: str
    config: type[PluginConfig] = PluginConfig
    open: Callable[[PluginConfig], Callable[[Snapshot], tuple[str, bytes]]]
    details: Mapping[str, Any] = field(default_factory=dict)
