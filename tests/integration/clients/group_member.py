"""A member of a group as librdkafka makes it, of either protocol."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

POLL_S = 0.05


class Member:
    """One consumer, what it owns, what it was told about it, and what it got; driven by `poll`."""

    def __init__(self, bootstrap: str, group: str, topics: list[str], **settings: object) -> None:
        self.owned: set[tuple[str, int]] = set()
        self.revoked: list[tuple[str, int]] = []
        self.assignments = 0
        self.received: list[Message] = []
        self.fatal: KafkaError | None = None
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "error_cb": lambda error: None,
                **settings,
            }
        )
        self.consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.assignments += 1
        self.owned |= {(each.topic, each.partition) for each in partitions}

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.revoked += [(each.topic, each.partition) for each in partitions]
        self.owned -= {(each.topic, each.partition) for each in partitions}

    def poll(self) -> None:
        message = self.consumer.poll(POLL_S)
        if message is None:
            return
        if message.error() is None:
            self.received.append(message)
        elif message.error().fatal() or message.error().code() == KafkaError._FATAL:
            self.fatal = message.error()

    def values(self) -> list[str]:
        return [message.value().decode() for message in self.received]
