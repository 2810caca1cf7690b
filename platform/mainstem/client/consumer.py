"""A consumer for tools: one record after the other, until nothing comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from mainstem.client.connection import Connection
from mainstem.client.librdkafka import refused_property, translated
from mainstem.model.errors import ConfigError

POLL_S = 0.1
TIMESTAMP_TYPES = (None, "CreateTime", "LogAppendTime")
_PASSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._PARTITION_EOF})
"""A topic may be about to be created; Java's consumer waits for it as well."""


class Consumed(NamedTuple):
    """A record as it came from a partition. `timestamp_type` is `CreateTime`, `LogAppendTime` or None."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int | None
    timestamp_type: str | None
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class ConsoleConsumer:
    """Use as a context manager: leaving it leaves the group and commits, if offsets are committed automatically."""

    def __init__(self, connection: Connection) -> None:
        """Raises: ConfigError for properties that no consumer has."""
        self._bootstrap_servers = connection.bootstrap_servers
        settings: dict[str, Any] = {"allow.auto.create.topics": True, **connection.settings()}
        try:
            self._consumer = Consumer(settings)
        except KafkaException as error:
            raise refused_property(error) from None

    def subscribe(self, topic: str) -> None:
        self._consumer.subscribe([topic])

    def subscribe_pattern(self, pattern: str) -> None:
        """All topics whose whole name matches a regular expression. Raises: ConfigError if it is none."""
        try:
            self._consumer.subscribe([f"^({pattern})$"])
        except KafkaException:
            raise ConfigError("include", pattern, "a regular expression that matches whole names of topics") from None

    def assign(self, topic: str, partition: int, offset: int | str) -> None:
        """One partition from an offset on, or from its `earliest` or `latest`."""
        start = {"earliest": OFFSET_BEGINNING, "latest": OFFSET_END}.get(str(offset))
        self._consumer.assign([TopicPartition(topic, partition, int(offset) if start is None else start)])

    def records(self, timeout_s: float | None) -> Iterator[Consumed | None]:
        """Records as they come, and None whenever none is waiting; ends after `timeout_s` without any.

        Raises: RefusedError.
        """
        idle_s = 0.0
        while timeout_s is None or idle_s < timeout_s:
            message = self._consumer.poll(0)
            if message is None:
                yield None
                wait_s = POLL_S if timeout_s is None else min(POLL_S, timeout_s - idle_s)
                message = self._consumer.poll(wait_s)
                idle_s += wait_s
            if message is None:
                continue
            error = message.error()
            if error is None:
                idle_s = 0.0
                yield consumed_of(message)
            elif not is_passing(error):
                raise translated(KafkaException(error), self._bootstrap_servers)

    def __enter__(self) -> ConsoleConsumer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def is_passing(error: KafkaError) -> bool:
    """Whether a consumer goes on after this."""
    return error.code() in _PASSING


def consumed_of(message: Any) -> Consumed:
    """A record of the library as a plain value."""
    timestamp_type, timestamp_ms = message.timestamp()
    return Consumed(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        leader_epoch=message.leader_epoch(),
        timestamp_type=TIMESTAMP_TYPES[timestamp_type],
        timestamp_ms=timestamp_ms,
        key=message.key(),
        value=message.value(),
        headers=message.headers() or (),
    )
