"""Connector `sql`: a table of a SQLite database as a sink. With a key it is idempotent: a record replaces its older
self.
"""

from __future__ import annotations

from mainstem.api.connector import ConnectorSpec, Sink
from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem_connectors.sql.config import SqlSinkConfig


def open_sink(config: SqlSinkConfig, context: PluginContext) -> Sink:
    from mainstem_connectors.sql.sink import SqliteSink

    return SqliteSink(config, context)


def has_key(config: SqlSinkConfig) -> bool:
    return bool(config.key)


@hookimpl
def mainstem_register_connectors() -> list[ConnectorSpec]:
    return [ConnectorSpec(name="sql", sink_config=SqlSinkConfig, open_sink=open_sink, is_idempotent=has_key)]
