"""Metrics in Prometheus' text format, written by prometheus-client. Scraped at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from mainstem.api.hookspecs import hookimpl
from mainstem.api.sensor import SensorExporter, Snapshot
from mainstem.api.spec import PluginConfig


def open_exporter(config: PluginConfig) -> Callable[[Snapshot], tuple[str, bytes]]:
    from mainstem_plugins.metrics_prometheus.exposition import render

    return render


@hookimpl
def mainstem_register_sensors() -> list[SensorExporter]:
    return [SensorExporter(name="prometheus", open=open_exporter)]
