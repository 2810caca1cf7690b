"""What librdkafka's clients share: their properties, and its errors in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import groupby
from typing import Any, Protocol, cast

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from mainstem.api.batch import Batch
from mainstem.api.context import Log
from mainstem.api.transport import Fenced, NotMember, TransportError
from mainstem.model.errors import ConfigError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_kafka import KafkaConfig
from mainstem_plugins.transport_kafka.tokens import Tokens

PRODUCER_PROPERTIES: dict[str, str | int | bool] = {
    "enable.idempotence": True,
    "acks": "all",
    "delivery.report.only.error": True,
    "queue.buffering.max.messages": 500_000,
}
CONSUMER_PROPERTIES: dict[str, str | int | bool] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    # How soon librdkafka asks again after its queue was full; its own second stops the reader again and again.
    "fetch.queue.backoff.ms": 5,
}


class GroupProtocol(Enum):
    """Eager: everything is revoked before a new set is assigned. The others take and give only what moves."""

    EAGER = "range,roundrobin"
    COOPERATIVE = "cooperative-sticky"
    CONSUMER = "consumer"


GROUP_PROTOCOLS: dict[GroupProtocol, dict[str, str | int | bool]] = {
    GroupProtocol.EAGER: {"partition.assignment.strategy": GroupProtocol.EAGER.value},
    GroupProtocol.COOPERATIVE: {"partition.assignment.strategy": GroupProtocol.COOPERATIVE.value},
    GroupProtocol.CONSUMER: {"group.protocol": GroupProtocol.CONSUMER.value, "group.remote.assignor": "range"},
}
GUARDED = frozenset(
    {
        *PRODUCER_PROPERTIES,
        *CONSUMER_PROPERTIES,
        *(name for properties in GROUP_PROTOCOLS.values() for name in properties),
        "bootstrap.servers",
        "metadata.broker.list",
        "group.id",
        "auto.offset.reset",
        "transactional.id",
        "request.required.acks",
    }
) - {"queue.buffering.max.messages", "fetch.queue.backoff.ms"}

# KIP-848; confluent-kafka has no names for them.
FENCED_MEMBER_EPOCH, STALE_MEMBER_EPOCH = 110, 113

# Nothing that a reader must act on: librdkafka reconnects by itself, and a member that was slow joins again.
PASSING = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_LEADER_EPOCH,  # a broker that has not heard of the new topic yet
        KafkaError.FENCED_LEADER_EPOCH,
    }
)


def group_protocol(config: KafkaConfig) -> GroupProtocol:
    """Raises: ConfigError, if two settings contradict each other."""
    is_cooperative = config.assignment_strategy == GroupProtocol.COOPERATIVE.value
    if config.group_protocol == "classic":
        return GroupProtocol.COOPERATIVE if is_cooperative else GroupProtocol.EAGER
    if is_cooperative:
        what = "with group.protocol=consumer the broker assigns, and always cooperatively: leave it out"
        raise ConfigError("partition.assignment.strategy", config.assignment_strategy, what)
    return GroupProtocol.CONSUMER


def shared_properties(config: KafkaConfig, address: str, log: Log) -> dict[str, Any]:
    """For clients of every kind. Raises: ConfigError for a property that pipelines set themselves."""
    others = {name: value.reveal() for name, value in config.properties.items()}
    for name, value in others.items():
        if name in GUARDED:
            raise ConfigError(name, value, "pipelines set this themselves, because their guarantees depend on it")
    given = {
        "bootstrap.servers": address,
        "client.id": config.client_id,
        "security.protocol": config.security_protocol,
        "sasl.mechanism": config.sasl_mechanism,
        "sasl.username": config.sasl_username,
        "sasl.password": config.sasl_password.reveal() if config.sasl_password else None,
        "ssl.ca.location": config.ssl_ca_location,
        "ssl.certificate.location": config.ssl_certificate_location,
        "ssl.key.location": config.ssl_key_location,
        "ssl.key.password": config.ssl_key_password.reveal() if config.ssl_key_password else None,
        **others,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if config.token_provider is not None:
        chosen["oauth_cb"] = Tokens(config.token_provider, log)
        chosen.setdefault("sasl.mechanism", "OAUTHBEARER")
    return chosen


def quiet_logger() -> logging.Logger:
    """Librdkafka's own lines go nowhere: what matters arrives as errors, the rest is told by `PassingErrors`."""
    logger = logging.getLogger("mainstem.librdkafka")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


class Message(Protocol):
    """A record or an event, as confluent-kafka returns them; its stubs say None for what a polled message always has."""

    def error(self) -> KafkaError | None: ...
    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def headers(self) -> list[tuple[str, bytes | None]] | None: ...


def columns_of(messages: Sequence[Message]) -> Batch:
    headers = [message.headers() for message in messages]
    return Batch(
        keys=[message.key() for message in messages],
        values=[message.value() for message in messages],
        timestamps=[message.timestamp()[1] for message in messages],
        headers=[one or () for one in headers] if any(headers) else None,
    )


def theirs(partition: TopicPartition) -> confluent_kafka.TopicPartition:
    return confluent_kafka.TopicPartition(partition.topic, partition.partition)


def runs_of(messages: Sequence[Message]) -> Iterator[tuple[TopicPartition, Sequence[Message]]]:
    """They come in long runs of one partition: what is done once a run costs nothing."""
    places = zip([one.topic() for one in messages], [one.partition() for one in messages], strict=True)
    begin = 0
    for (topic, number), run in groupby(places):
        end = begin + len(list(run))
        yield TopicPartition(topic, number), messages[begin:end]
        begin = end


def take(consumer: Consumer, max_records: int, max_wait_s: float) -> list[Message]:
    """Wait for the first message only; `consume` alone would wait until it has all of them."""
    first = consumer.poll(max_wait_s)
    if first is None:
        return []
    more = consumer.consume(max_records - 1, 0) if max_records > 1 else []
    return cast(list[Message], [first, *more])


class PassingErrors:
    """Librdkafka's error callback: what passes is told once until things change, what is fatal ends the client."""

    def __init__(self, log: Log, client: str) -> None:
        self._log = log
        self._client = client
        self._told = ""
        self.fatal: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        if error.fatal():
            self.fatal = error
        if error.str() != self._told:
            self._told = error.str()
            self._log.warning("transport.kafka.trouble", client=self._client, error=error.str())


NOT_A_MEMBER = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,
        STALE_MEMBER_EPOCH,
        FENCED_MEMBER_EPOCH,
    }
)
FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})


def in_words(error: KafkaException | KafkaError, what: str) -> TransportError:
    cause = error.args[0] if isinstance(error, KafkaException) else error
    if not isinstance(cause, KafkaError):
        return TransportError(f"{what}: {cause}")
    text = f"{what}: {cause.str()}"
    if cause.code() in FENCED:
        return Fenced(text)
    return NotMember(text) if cause.code() in NOT_A_MEMBER else TransportError(text)
