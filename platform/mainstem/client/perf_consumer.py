"""A consumer that is measured, and one that tells what happens to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from mainstem.client.connection import Connection
from mainstem.client.consumer import POLL_S, Consumed, consumed_of, is_passing
from mainstem.client.librdkafka import refused_property, translated
from mainstem.model import ids

Partitions = Sequence[ids.TopicPartition]


class PerfConsumer:
    """Use as a context manager. Reads sizes of records, and keeps nothing else of them."""

    def __init__(self, connection: Connection, topic: str) -> None:
        """Raises: ConfigError."""
        self._inner = _subscribed(connection, topic, self._on_assign, None)
        self._bootstrap_servers = connection.bootstrap_servers
        self.is_assigned = False

    def poll(self, records_max: int) -> list[int]:
        """Bytes of keys and values of the next records; empty if none came soon. Raises: RefusedError."""
        sizes = []
        for message in self._inner.consume(records_max, POLL_S):
            error = message.error()
            if error is None:
                sizes.append(len(message) + len(message.key() or b""))
            elif not is_passing(error):
                raise translated(KafkaException(error), self._bootstrap_servers)
        return sizes

    def _on_assign(self, consumer: Any, partitions: Any) -> None:
        self.is_assigned = True

    def __enter__(self) -> PerfConsumer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.close()


class TellingConsumer:
    """Use as a context manager. Calls back when it is given partitions, and when they are taken."""

    def __init__(
        self,
        connection: Connection,
        topic: str,
        on_assigned: Callable[[Partitions], None],
        on_revoked: Callable[[Partitions], None],
    ) -> None:
        """Raises: ConfigError."""
        self._bootstrap_servers = connection.bootstrap_servers
        self._inner = _subscribed(
            connection, topic, lambda _, given: on_assigned(_plain(given)), lambda _, taken: on_revoked(_plain(taken))
        )

    def poll(self, records_max: int) -> list[Consumed]:
        """The next records; empty if none came soon. Raises: RefusedError."""
        found = []
        for message in self._inner.consume(records_max, POLL_S):
            error = message.error()
            if error is None:
                found.append(consumed_of(message))
            elif not is_passing(error):
                raise translated(KafkaException(error), self._bootstrap_servers)
        return found

    def commit(self, offsets: Mapping[ids.TopicPartition, int]) -> None:
        """Raises: RefusedError."""
        wanted = [TopicPartition(each.topic, each.partition, offset) for each, offset in offsets.items()]
        try:
            done = self._inner.commit(offsets=wanted, asynchronous=False)
        except KafkaException as error:
            raise translated(error, self._bootstrap_servers) from None
        for partition in done or ():
            if partition.error is not None:
                raise translated(KafkaException(partition.error), self._bootstrap_servers)

    def __enter__(self) -> TellingConsumer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.close()


def _subscribed(connection: Connection, topic: str, on_assign: Any, on_revoke: Any) -> Consumer:
    try:
        consumer = Consumer({"allow.auto.create.topics": True, **connection.settings()})
    except KafkaException as error:
        raise refused_property(error) from None
    callbacks = {"on_assign": on_assign} | ({"on_revoke": on_revoke} if on_revoke is not None else {})
    consumer.subscribe([topic], **callbacks)
    return consumer


def _plain(partitions: Sequence[Any]) -> Partitions:
    return sorted(ids.TopicPartition(each.topic, each.partition) for each in partitions)
