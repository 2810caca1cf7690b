"""Transport `redis`: topics, groups and transactions in Redis 7 or newer, over redis-py.

Each partition is one stream; an entry holds a whole batch, and its id is the offset behind the batch's last record (`1000-0`
for records 0 to 999). So the last id is the partition's end, XREAD behind `n-0` begins with the entry that has record n, a
trimmed stream goes on counting, and a batch costs Redis one entry. What must happen at once is a Lua script (`scripts/`): an
append of several partitions, a whole transaction with its offsets, what a group gives to its members. A script whose answer
was lost is sent again: it carries a number by which Redis knows what it has done already.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.node import LocalNode
from mainstem.api.spec import PluginConfig, Secret
from mainstem.api.transport import Transport, TransportError, TransportSpec

Milliseconds = Annotated[int, msgspec.Meta(ge=100)]


class RedisConfig(PluginConfig, frozen=True, kw_only=True):
    """`prefix` begins every key: transports with the same one see the same topics.

    A member that Redis has not heard of for `session_timeout_ms`, or that has not fetched for `max_poll_interval_ms`, is put
    out of its group. `request_timeout_ms`: how long a lost connection is tried again. `batch_bytes`: at most in one entry,
    unless one record is larger; `in_flight_bytes`: what a producer holds that Redis has not taken; `transaction_bytes`: what a
    transaction may hold.
    """

    prefix: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]+$")] = "mainstem"
    username: str | None = None
    password: Secret | None = None
    tls: bool = False
    tls_ca_location: str | None = None
    session_timeout_ms: Milliseconds = 10_000
    max_poll_interval_ms: Milliseconds = 300_000
    request_timeout_ms: Milliseconds = 30_000
    batch_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=64 * 1024 * 1024)] = 1024 * 1024
    in_flight_bytes: Annotated[int, msgspec.Meta(ge=1_024)] = 16 * 1024 * 1024
    transaction_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=256 * 1024 * 1024)] = 64 * 1024 * 1024


def open_transport(config: RedisConfig, context: PluginContext, address: str, node: LocalNode | None) -> Transport:
    try:
        from mainstem_plugins.transport_redis.transport import RedisTransport
    except ModuleNotFoundError as error:
        raise TransportError(f"redis:// needs {error.name}: pip install 'mainstem[redis]'") from error
    return RedisTransport(config, context, address)


@hookimpl
def mainstem_register_transports() -> list[TransportSpec]:
    return [TransportSpec(name="redis", open=open_transport, config=RedisConfig)]
