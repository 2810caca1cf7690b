"""What Faust's monitor counts, in the registry that pipelines and the broker in the process report to; and `GET /metrics` on the
app's own web server, unless the app serves that path itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from faust import web

from mainstem.api.sensor import Metric, Sample, Sensor, Snapshot
from mainstem.app.metrics_endpoint import open_exporter
from mainstem.app.plugins import PluginManager

PATH = "/metrics"

RECEIVED = Metric(
    name="mainstem_faust_messages_received_total",
    kind="counter",
    help="Messages that were delivered to streams.",
    labels=("app", "topic"),
)
SENT = Metric(
    name="mainstem_faust_messages_sent_total",
    kind="counter",
    help="Messages that were sent, changelogs included.",
    labels=("app", "topic"),
)
EVENTS = Metric(
    name="mainstem_faust_events_total",
    kind="counter",
    help="Events that streams were given.",
    labels=("app", "stream"),
)
TABLE_OPERATIONS = Metric(
    name="mainstem_faust_table_operations_total",
    kind="counter",
    help="Keys of tables that were read, set or deleted.",
    labels=("app", "table", "operation"),
)
LAG = Metric(
    name="mainstem_faust_lag_records",
    kind="gauge",
    help="Records between what was delivered last and the end of the partition.",
    labels=("app", "topic", "partition"),
)
REBALANCES = Metric(
    name="mainstem_faust_rebalances_total", kind="counter", help="Rebalances that the app has seen.", labels=("app",)
)
OPERATIONS = ("keys_retrieved", "keys_updated", "keys_deleted")


def register(sensor: Sensor, app: Any) -> None:
    """Read at scrape time. Once for each registry and app."""

    def by_name(counts: Callable[[Any], dict[Any, int]]) -> Callable[[], Iterable[Sample]]:
        return lambda: [Sample((app.conf.id, str(name)), count) for name, count in counts(app.monitor).items()]

    def lag() -> Iterable[Sample]:
        monitor = app.monitor
        for tp, offset in monitor.tp_read_offsets.items():
            end = monitor.tp_end_offsets.get(tp)
            if end is not None:
                yield Sample((app.conf.id, tp.topic, str(tp.partition)), max(0, end - offset - 1))

    def operations() -> Iterable[Sample]:
        for name, table in app.monitor.tables.items():
            for operation in OPERATIONS:
                yield Sample((app.conf.id, name, operation), getattr(table, operation))

    sensor.register(RECEIVED, by_name(lambda monitor: monitor.messages_received_by_topic))
    sensor.register(SENT, by_name(lambda monitor: monitor.messages_sent_by_topic))
    sensor.register(EVENTS, by_name(lambda monitor: monitor.events_by_stream))
    sensor.register(TABLE_OPERATIONS, operations)
    sensor.register(LAG, lag)
    sensor.register(REBALANCES, lambda: [Sample((app.conf.id,), app.monitor.rebalances or 0)])


class MetricsView(web.View):
    """Everything of the registry in Prometheus' text format."""

    view_name = "mainstem-metrics"
    view_path = PATH

    async def get(self, request: web.Request) -> web.Response:
        transport: Any = self.app.transport
        if not transport.is_acquired:
            return self.text("the app is not connected yet\n", status=503)
        kind, body = _exporter()(transport.session.environment.context.sensor.snapshot())
        return self.bytes(body, content_type=kind.partition(";")[0])


@cache
def _exporter() -> Callable[[Snapshot], tuple[str, bytes]]:
    """Plugins are looked for once, not with each scrape."""
    return open_exporter(PluginManager())


def mount(server: Any) -> None:
    """Last, when the app's own pages are there."""
    if PATH not in server.views:
        server.add_view(MetricsView)
