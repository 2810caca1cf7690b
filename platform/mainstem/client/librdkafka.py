"""What librdkafka's errors mean in our terms: for the producers and consumers that it runs."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from mainstem.client.connection import COMMON_NAMES
from mainstem.client.errors import RefusedError, UnreachableError, error_of
from mainstem.model.configs.nearest import suggestion
from mainstem.model.errors import ConfigError, ErrorCode, MainstemError

_UNREACHABLE = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._SSL,
        KafkaError._AUTHENTICATION,
    }
)


def translated(error: KafkaException, bootstrap_servers: str) -> MainstemError:
    """The exception of ours that says what a `KafkaException` means."""
    kafka_error = error.args[0]
    if not isinstance(kafka_error, KafkaError):
        return RefusedError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error))
    message = without_prefix(kafka_error.str())
    if kafka_error.code() in _UNREACHABLE:
        return UnreachableError(bootstrap_servers, message)
    return RefusedError(error_of(kafka_error.code()), message)


def without_prefix(text: str) -> str:
    """librdkafka marks what is a broker's own error (`Broker: `) and what is its own (`Local: `)."""
    return text.removeprefix("Broker: ").removeprefix("Local: ")


def refused_property(error: KafkaException) -> ConfigError:
    """librdkafka names the property it does not know, or whose value it does not take, in its message only."""
    text = error.args[0].str() if isinstance(error.args[0], KafkaError) else str(error)
    _, quote, rest = text.partition('"')
    name = rest.partition('"')[0] if quote else "client property"
    if "No such configuration property" in text:
        return ConfigError(name, "…", f"no client has this property{suggestion(name, COMMON_NAMES)}")
    return ConfigError(name, "…", text)
