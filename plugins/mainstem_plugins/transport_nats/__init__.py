"""Transport `nats`: topics on a NATS server with JetStream (2.10 or newer), over nats-py (`pip install mainstem[nats]`).

    partition     one stream of one subject; one message is many records, packed as columns
    offset        counted by the writers: each message says the offset of its first record. It is stored only if the stream
                  still ends where its writer thought (`Nats-Expected-Last-Sequence`), so offsets have no gaps. A message whose
                  acknowledgement was lost can only be at the one place where it was meant to be, and is looked for there
    topics        a key-value bucket: how many partitions, which configs, which streams
    group         one key of another bucket: members, who reads which partition, what is committed. Every change is a
                  compare-and-set of the whole, so a commit is all or nothing, and counts only from who owns the partitions
    life signs    a number in the group that each member counts up. Whoever sees one stand still for a session, by its own
                  clock, puts that member out

Why packed: where messages of one record came to 30,000 a second, packed ones came to a million records. What it costs: an offset
is found by a binary search over the messages of a partition, and nothing is compacted.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.node import LocalNode
from mainstem.api.spec import PluginConfig, Secret
from mainstem.api.transport import Transport, TransportError, TransportSpec

Positive = Annotated[int, msgspec.Meta(ge=1)]


class NatsConfig(PluginConfig, frozen=True, kw_only=True):
    """`prefix` begins the names of all streams, buckets and subjects; `replicas` is how many servers keep what is made.

    A member that gave no sign of life for `session_timeout_ms`, or has not fetched for `max_poll_interval_ms`, is put out
    of its group. `request_timeout_ms` is how long a lost connection is waited for, `delivery_timeout_ms` how long a record
    may take until it is acknowledged. `message_bytes` is about how large a message of many records gets.
    """

    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    tls_ca: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    prefix: Annotated[str, msgspec.Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")] = "mainstem"
    replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    session_timeout_ms: Annotated[int, msgspec.Meta(ge=100)] = 10_000
    max_poll_interval_ms: Positive = 300_000
    request_timeout_ms: Positive = 30_000
    delivery_timeout_ms: Positive = 120_000
    message_bytes: Annotated[int, msgspec.Meta(ge=1_024)] = 262_144


def open_transport(config: NatsConfig, context: PluginContext, address: str, node: LocalNode | None) -> Transport:
    if "@" in address:
        raise TransportError("nats://: user, password and token are settings of their own, after ?")
    if not all(re.fullmatch(r"[^/\s]+", one.strip()) for one in address.split(",")):
        raise TransportError("nats:// needs an address: nats://host:port, or several separated by commas")
    try:
        from mainstem_plugins.transport_nats.transport import NatsTransport
    except ModuleNotFoundError as error:
        raise TransportError(f"nats:// needs {error.name}: pip install 'mainstem[nats]'") from error
    return NatsTransport(config, context, address)


@hookimpl
def mainstem_register_transports() -> list[TransportSpec]:
    return [TransportSpec(name="nats", open=open_transport, config=NatsConfig)]
