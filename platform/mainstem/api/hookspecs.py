"""Every hook, one docstring each. Hooks are called once at start and return descriptors; they carry no data afterwards.

A plugin is a module or object under the entry-point group `mainstem.plugins` with functions marked `@hookimpl`:

    from mainstem.api.hookspecs import hookimpl

    @hookimpl
    def mainstem_register_serializers():
        return [SerializerSpec(name="shout", content_type="text/plain", open=open_shout)]
"""

from __future__ import annotations

from typing import TypeVar, cast

import pluggy

from mainstem.api.connector import ConnectorSpec
from mainstem.api.coordination import CoordinatorBackend
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.sensor import SensorExporter
from mainstem.api.serde import SerializerSpec
from mainstem.api.state import StateSpec
from mainstem.api.storage import StorageBackend
from mainstem.api.transport import TransportSpec

PROJECT = "mainstem"
ENTRY_POINT_GROUP = "mainstem.plugins"

F = TypeVar("F")
_spec = pluggy.HookspecMarker(PROJECT)
_impl = pluggy.HookimplMarker(PROJECT)


def hookimpl(function: F) -> F:
    """Mark a function of a plugin as the implementation of the hook of the same name."""
    return cast(F, _impl(function))  # type: ignore[call-overload]  # pluggy types its marker for callables only


# ------------------------------------------------------------------------------------------------------------ the broker


@_spec
def mainstem_register_storage() -> list[StorageBackend]:  # type: ignore[empty-body]  # a specification has no body
    """Where partitions keep their batches. Selected by `log.storage` (default `segments`)."""


@_spec
def mainstem_register_coordinators() -> list[CoordinatorBackend]:  # type: ignore[empty-body]
    """Where brokers find each other and the controller writes. Selected by `coordinator` (default `embedded`)."""


@_spec
def mainstem_register_sensors() -> list[SensorExporter]:  # type: ignore[empty-body]
    """How metrics leave the process. `prometheus` answers `/metrics`."""


# --------------------------------------------------------------------------------------------------------- the pipelines


@_spec
def mainstem_register_transports() -> list[TransportSpec]:  # type: ignore[empty-body]
    """What carries a pipeline's topics. Selected by the scheme of `--broker`."""


@_spec
def mainstem_register_states() -> list[StateSpec]:  # type: ignore[empty-body]
    """Where pipelines keep state that is larger than memory. Selected by `--state` (default: in memory)."""


@_spec
def mainstem_register_serializers() -> list[SerializerSpec]:  # type: ignore[empty-body]
    """How keys and values become bytes. Selected by name: `value="json"`."""


@_spec
def mainstem_register_partitioners() -> list[PartitionerSpec]:  # type: ignore[empty-body]
    """Which partition a record goes to. Selected by name: `partitioner="murmur2"`."""


@_spec
def mainstem_register_connectors() -> list[ConnectorSpec]:  # type: ignore[empty-body]
    """Sources and sinks outside the broker. Selected by name: `.source(connector="files", path=…)`."""
