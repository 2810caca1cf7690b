"""What goes wrong between this process and a broker, in words for people."""

from __future__ import annotations

from mainstem.client.kafka_errors import description, exception_class
from mainstem.model.errors import ErrorCode, MainstemError


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

    @property
    def as_java(self) -> str:
        """With the exception's class in front, as Kafka's tools print the cause of a failure."""
        return f"{exception_class(self.code)}: {self.message}"


def refusal(number: int, message: str | None = None) -> RefusedError:
    """The exception for an error code in an answer; without a message of the broker's with Kafka's own words."""
    code = error_of(number)
    return RefusedError(code, message or description(code))


def check(number: int, message: str | None = None) -> None:
    """Raises: RefusedError if `number` is an error."""
    if number != ErrorCode.NONE:
        raise refusal(number, message)


def error_of(number: int) -> ErrorCode:
    """UNKNOWN_SERVER_ERROR for a number that this version does not know."""
    try:
        return ErrorCode(number)
    except ValueError:
        return ErrorCode.UNKNOWN_SERVER_ERROR
