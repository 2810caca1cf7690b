"""A producer for tools: records by the thousand, errors told one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from mainstem.client.connection import Connection
from mainstem.client.librdkafka import refused_property, translated, without_prefix

Header = tuple[str, bytes | None]
ALL_ACKS = ("-1", "all")


class ConsoleProducer:
    """Use as a context manager: leaving it waits until everything is acknowledged or has failed.

    `on_failure` is told once for every record that was not stored; `failures` counts them.
    """

    def __init__(self, connection: Connection, topic: str, on_failure: Callable[[str], None]) -> None:
        """Raises: ConfigError for properties that no producer has."""
        self.failures = 0
        self._topic = topic
        self._on_failure = on_failure
        self._bootstrap_servers = connection.bootstrap_servers
        # As Java's producer: keys go where its clients put them, and retries make no duplicates.
        settings: dict[str, Any] = {"partitioner": "murmur2_random"}
        if connection.properties.get("acks", "all") in ALL_ACKS and connection.properties.get("retries") != "0":
            settings["enable.idempotence"] = True
        settings |= connection.settings()
        try:
            self._producer = Producer(settings)
        except KafkaException as error:
            raise refused_property(error) from None

    def send(self, key: bytes | None, value: bytes | None, headers: Sequence[Header], *, wait: bool) -> None:
        """`wait`: return when the record is acknowledged.

        Raises: RefusedError for a record that cannot be sent at all (too large, for one).
        """
        while True:
            try:
                self._producer.produce(
                    self._topic, value=value, key=key, headers=list(headers), on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
                continue
            except KafkaException as error:
                raise translated(error, self._bootstrap_servers) from None
            break
        if wait:
            self._producer.flush()
        else:
            self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self.failures += 1
            sizes = f"key: {_size(message.key())}, value: {_size(message.value())}"
            self._on_failure(
                f"Error when sending message to topic {self._topic} with {sizes}: {without_prefix(error.str())}"
            )

    def __enter__(self) -> ConsoleProducer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.flush()


def _size(value: bytes | None) -> str:
    return "null" if value is None else f"{len(value)} bytes"
