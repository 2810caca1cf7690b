"""A producer that is measured: how many records are out, how long their acknowledgements took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from mainstem.client.connection import Connection
from mainstem.client.librdkafka import refused_property, translated, without_prefix

QUEUE_RECORDS_MAX = 10_000_000
INIT_TIMEOUT_S = 30.0


class PerfProducer:
    """`on_delivery(latency_ms, value_bytes, offset, error)` is called once for each record, from `send` and `flush`."""

    def __init__(self, connection: Connection, defaults: Mapping[str, Any]) -> None:
        """Properties of the connection go before `defaults`. Raises: ConfigError for one that no producer has."""
        self._bootstrap_servers = connection.bootstrap_servers
        try:
            self._producer = Producer({**defaults, **connection.settings()})
        except KafkaException as error:
            raise refused_property(error) from None

    def send(
        self,
        topic: str,
        value: bytes,
        on_delivery: Callable[[KafkaError | None, Any], None],
        *,
        key: bytes | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        """Waits while the queue is full. Raises: RefusedError for a record that cannot be sent at all."""
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=on_delivery, timestamp=timestamp_ms)
            except BufferError:
                self._producer.poll(0.05)
                continue
            except KafkaException as error:
                raise translated(error, self._bootstrap_servers) from None
            return

    def poll(self, wait_s: float = 0.0) -> None:
        """Lets acknowledgements be told, waiting for the first at most this long."""
        self._producer.poll(wait_s)

    def flush(self) -> None:
        """Waits until everything is acknowledged or has failed."""
        self._producer.flush()

    def begin(self, *, is_first: bool) -> None:
        """Opens a transaction. Raises: RefusedError, UnreachableError."""
        try:
            if is_first:
                self._producer.init_transactions(INIT_TIMEOUT_S)
            self._producer.begin_transaction()
        except KafkaException as error:
            raise translated(error, self._bootstrap_servers) from None

    def commit(self) -> None:
        """Raises: RefusedError, UnreachableError."""
        try:
            self._producer.commit_transaction(INIT_TIMEOUT_S)
        except KafkaException as error:
            raise translated(error, self._bootstrap_servers) from None


def error_text(error: KafkaError) -> str:
    return without_prefix(error.str())
