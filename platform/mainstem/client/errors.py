"""What goes wrong between this process and a broker, in words for people."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from mainstem.model.errors import ErrorCode, MainstemError

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


class UnreachableError(MainstemError):
    """No broker answered at the bootstrap addresses. `advice` is for people at a command line."""

    advice = (
        "Is a broker running? `mainstem broker` starts one on localhost:9092; --bootstrap-server says where yours is."
    )

    def __init__(self, bootstrap_servers: str, reason: str) -> None:
        super().__init__(f"no broker answers at {bootstrap_servers}: {reason}")
        self.bootstrap_servers = bootstrap_servers
        self.reason = reason


class RefusedError(MainstemError):
    """A broker answered with an error, or the client library did. `str()` is what it said."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def translated(error: KafkaException, bootstrap_servers: str) -> MainstemError:
    """The exception of ours that says what a `KafkaException` means."""
    kafka_error = error.args[0]
    if not isinstance(kafka_error, KafkaError):
        return RefusedError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error))
    message = without_prefix(kafka_error.str())
    if kafka_error.code() in _UNREACHABLE:
        return UnreachableError(bootstrap_servers, message)
    return RefusedError(error_of(kafka_error.code()), message)


def error_of(number: int) -> ErrorCode:
    """UNKNOWN_SERVER_ERROR for a number that this version does not know."""
    try:
        return ErrorCode(number)
    except ValueError:
        return ErrorCode.UNKNOWN_SERVER_ERROR


def without_prefix(text: str) -> str:
    """librdkafka marks what is a broker's own error (`Broker: `) and what is its own (`Local: `)."""
    return text.removeprefix("Broker: ").removeprefix("Local: ")
