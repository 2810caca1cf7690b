"""Connector `files`: CSV and JSON Lines, also gzipped, as a source; JSON Lines as a sink."""

from __future__ import annotations

from mainstem.api.connector import ConnectorSpec, Sink, Source
from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem_connectors.files.config import FileSinkConfig, FileSourceConfig


def open_source(config: FileSourceConfig, context: PluginContext) -> Source:
    from mainstem_connectors.files.source import FileSource

    return FileSource(config, context)


def open_sink(config: FileSinkConfig, context: PluginContext) -> Sink:
    from mainstem_connectors.files.parts import PartsSink
    from mainstem_connectors.files.sink import JsonLinesSink

    return PartsSink(config, context) if config.parts else JsonLinesSink(config, context)


def has_two_phases(config: FileSinkConfig) -> bool:
    return config.parts


@hookimpl
def mainstem_register_connectors() -> list[ConnectorSpec]:
    return [
        ConnectorSpec(
            name="files",
            source_config=FileSourceConfig,
            open_source=open_source,
            sink_config=FileSinkConfig,
            open_sink=open_sink,
            has_two_phases=has_two_phases,
        )
    ]
