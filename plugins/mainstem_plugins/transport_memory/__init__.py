"""Transport `memory`: topics, groups and transactions in the memory of this process, gone with it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.node import LocalNode
from mainstem.api.spec import PluginConfig
from mainstem.api.transport import Transport, TransportSpec


class MemoryConfig(PluginConfig, frozen=True, kw_only=True):
    """A member that has not fetched for `max_poll_interval_ms` is put out of its group as soon as another one fetches."""

    max_poll_interval_ms: Annotated[int, msgspec.Meta(ge=1)] = 300_000


def open_transport(config: MemoryConfig, context: PluginContext, address: str, node: LocalNode | None) -> Transport:
    from mainstem_plugins.transport_memory.topics import topics_named
    from mainstem_plugins.transport_memory.transport import MemoryTransport

    return MemoryTransport(config, context, topics_named(address))


@hookimpl
def mainstem_register_transports() -> list[TransportSpec]:
    return [TransportSpec(name="memory", open=open_transport, config=MemoryConfig, is_in_process=True)]
