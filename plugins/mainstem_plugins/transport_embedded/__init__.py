"""Transport `embedded`: the broker in this process, without sockets and client library."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.node import LocalNode
from mainstem.api.spec import PluginConfig
from mainstem.api.transport import Transport, TransportError, TransportSpec


class EmbeddedConfig(PluginConfig, frozen=True, kw_only=True):
    """`batch_bytes` bounds a record batch before compression, `fetch_bytes` what is read of a partition at a time, and
    `in_flight_bytes` what a producer may have appended and not yet seen committed. A member that has not fetched for
    `max_poll_interval_ms` loses its partitions to others."""

    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    batch_bytes: Annotated[int, msgspec.Meta(ge=1)] = 900_000
    fetch_bytes: Annotated[int, msgspec.Meta(ge=1)] = 1 << 20
    in_flight_bytes: Annotated[int, msgspec.Meta(ge=1)] = 32 << 20
    transaction_timeout_ms: Annotated[int, msgspec.Meta(ge=1)] = 60_000
    max_poll_interval_ms: Annotated[int, msgspec.Meta(ge=1)] = 300_000


def open_transport(config: EmbeddedConfig, context: PluginContext, address: str, node: LocalNode | None) -> Transport:
    from mainstem_plugins.transport_embedded.transport import EmbeddedTransport

    if node is None:
        raise TransportError("embedded:// needs a broker in this process; give kafka://host:port to use another one")
    return EmbeddedTransport(config, context, node)


@hookimpl
def mainstem_register_transports() -> list[TransportSpec]:
    return [TransportSpec(name="embedded", open=open_transport, config=EmbeddedConfig, needs_local_node=True)]
