"""A snapshot of our metrics as prometheus-client's families, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import CollectorRegistry

from mainstem.api.sensor import Metric, Sample, Snapshot


class _Collector:
    """Handed to prometheus-client for one rendering."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Family]:
        for metric, samples in self._snapshot:
            match metric.kind:
                case "counter":
                    yield _counter(metric, samples)
                case "gauge":
                    yield _gauge(metric, samples)
                case "histogram":
                    yield _histogram(metric, samples)
                case kind:
                    raise AssertionError(f"metric {metric.name} is a {kind}, which nobody can show")


def _counter(metric: Metric, samples: Iterable[Sample]) -> Family:
    family = CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
    for sample in samples:
        family.add_metric(sample.labels, sample.value)
    return family


def _gauge(metric: Metric, samples: Iterable[Sample]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for sample in samples:
        family.add_metric(sample.labels, sample.value)
    return family


def _histogram(metric: Metric, samples: Iterable[Sample]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    buckets: dict[tuple[str, ...], list[tuple[str, float]]] = {}
    sums: dict[tuple[str, ...], float] = {}
    for sample in samples:
        labels, last = sample.labels[:-1], sample.labels[-1]
        if last == "sum":
            sums[labels] = sample.value
        elif last != "count":
            buckets.setdefault(labels, []).append((last, sample.value))
    for labels, rows in buckets.items():
        family.add_metric(labels, rows, sums.get(labels, 0.0))
    return family


def render(snapshot: Snapshot) -> tuple[str, bytes]:
    """(content type, body)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(snapshot))
    return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry)
