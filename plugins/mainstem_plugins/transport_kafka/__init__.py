"""Transport `kafka`: any cluster that speaks the Kafka protocol, over confluent-kafka (librdkafka)."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.node import LocalNode
from mainstem.api.spec import PluginConfig, Secret
from mainstem.api.transport import Transport, TransportError, TransportSpec


class KafkaConfig(PluginConfig, frozen=True, kw_only=True):
    """Librdkafka's own names, for what differs from cluster to cluster: `kafka://host:9093?security.protocol=SSL`.

    `group.protocol=consumer` joins by KIP-848: the broker assigns (its `range`, which keeps topics of equal partition counts
    together), and what stays with a member goes on during a rebalance. It needs Kafka 4.0 or mainstem; `classic` is understood
    everywhere. `partition.assignment.strategy=cooperative-sticky` does the same in a classic group, for clusters before 4.0, as
    long as the group reads one topic: it would not keep several together.

    `properties` takes any other property of librdkafka; those that the guarantees of pipelines stand on are refused.
    `sasl.oauthbearer.token.provider` is `module:function` of a function that makes tokens, as `tokens.TokenProvider` says.
    """

    client_id: str = msgspec.field(default="mainstem", name="client.id")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = msgspec.field(
        default="PLAINTEXT", name="security.protocol"
    )
    sasl_mechanism: str | None = msgspec.field(default=None, name="sasl.mechanism")
    sasl_username: str | None = msgspec.field(default=None, name="sasl.username")
    sasl_password: Secret | None = msgspec.field(default=None, name="sasl.password")
    ssl_ca_location: str | None = msgspec.field(default=None, name="ssl.ca.location")
    ssl_certificate_location: str | None = msgspec.field(default=None, name="ssl.certificate.location")
    ssl_key_location: str | None = msgspec.field(default=None, name="ssl.key.location")
    ssl_key_password: Secret | None = msgspec.field(default=None, name="ssl.key.password")
    compression_type: Literal["none", "gzip", "snappy", "lz4", "zstd"] = msgspec.field(
        default="none", name="compression.type"
    )
    linger_ms: int = msgspec.field(default=1, name="linger.ms")
    request_timeout_ms: int = msgspec.field(default=30_000, name="request.timeout.ms")
    transaction_timeout_ms: int = msgspec.field(default=60_000, name="transaction.timeout.ms")
    group_protocol: Literal["classic", "consumer"] = msgspec.field(default="classic", name="group.protocol")
    assignment_strategy: Literal["range", "cooperative-sticky"] = msgspec.field(
        default="range", name="partition.assignment.strategy"
    )
    token_provider: str | None = msgspec.field(default=None, name="sasl.oauthbearer.token.provider")
    properties: dict[str, Secret] = msgspec.field(default_factory=dict)


def open_transport(config: KafkaConfig, context: PluginContext, address: str, node: LocalNode | None) -> Transport:
    from mainstem_plugins.transport_kafka.transport import KafkaTransport

    if not address:
        raise TransportError("kafka:// needs an address: kafka://host:port, or several separated by commas")
    return KafkaTransport(config, context, address)


@hookimpl
def mainstem_register_transports() -> list[TransportSpec]:
    return [TransportSpec(name="kafka", open=open_transport, config=KafkaConfig)]
