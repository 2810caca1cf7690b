"""What a pipeline needs to know of plugins. `app.plugins.PluginManager` fits; a pipeline never looks for
them itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from mainstem.api.connector import ConnectorSpec
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.serde import SerdeError, Serializer, SerializerSpec
from mainstem.api.spec import PluginConfig, configure
from mainstem.pipeline.plan.steps import ConnectorSink, ConnectorSource, Plugin

SpecT = TypeVar("SpecT", SerializerSpec, PartitionerSpec, ConnectorSpec)


class Catalog(Protocol):
    def find(self, spec: type[SpecT], name: str) -> SpecT:
        """Raises: PluginError with the near names."""


class PlainSerializer:
    """What is used where no serializer is named: bytes stay bytes, and text is written as UTF-8."""

    def dumps_many(self, values: Sequence[Any]) -> list[bytes | None]:
        done: list[bytes | None] = []
        for value in values:
            if value is None or type(value) is bytes:
                done.append(value)
            elif isinstance(value, str):
                done.append(value.encode())
            else:
                kind = type(value).__name__
                raise SerdeError(len(done), f"{kind} {value!r:.60} needs a serializer, such as value='json'")
        return done

    def loads_many(self, data: Sequence[bytes | None]) -> list[Any]:
        return list(data)


def open_serializer(catalog: Catalog, plugin: Plugin | None) -> Serializer:
    """Raises: PluginError, ConfigError."""
    if plugin is None:
        return PlainSerializer()
    spec = catalog.find(SerializerSpec, plugin.name)
    return spec.open(configure(spec.config, plugin.options, owner=f"serializer {plugin.name}"))


def connector_spec(catalog: Catalog, step: ConnectorSource | ConnectorSink) -> ConnectorSpec:
    """Raises: PluginError."""
    if isinstance(step.connector, ConnectorSpec):
        return step.connector
    return catalog.find(ConnectorSpec, step.connector)


def connector_config(spec: ConnectorSpec, step: ConnectorSource | ConnectorSink) -> PluginConfig | None:
    """The typed settings, None if the connector does not have this side. Raises: ConfigError."""
    config = spec.source_config if isinstance(step, ConnectorSource) else spec.sink_config
    if config is None:
        return None
    return configure(config, step.options, owner=f"connector {spec.name}")
