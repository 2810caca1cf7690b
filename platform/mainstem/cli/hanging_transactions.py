"""The search for transactions that no coordinator will ever end (KIP-664): open in a partition, unknown where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mainstem.client.admin import Admin
from mainstem.client.errors import RefusedError
from mainstem.client.transactions import ProducerInfo, TransactionInfo, Transactions
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

PARTITIONS_PER_REQUEST = 500
"""A broker with very many partitions is asked about some of them at a time."""


class HangingTransaction(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    partition: int
    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    start_offset: int
    last_timestamp_ms: int
    duration_minutes: int


class HangingTransactions:
    """One search. Every method raises UnreachableError or RefusedError."""

    def __init__(self, admin: Admin, now_ms: int, timeout_max_ms: int) -> None:
        """`timeout_max_ms`: how long a transaction may be open without being suspected."""
        self._admin = admin
        self._transactions = Transactions(admin.cluster)
        self._now_ms = now_ms
        self._timeout_max_ms = timeout_max_ms

    def find(self, topic: str | None, partition: int | None, broker_id: int | None) -> list[HangingTransaction]:
        """In one partition, in a topic, or in all that a broker has."""
        suspects = self._suspects(self._scope(topic, partition, broker_id), broker_id)
        if not suspects:
            return []
        described = self._described({producer.producer_id for producers in suspects.values() for producer in producers})
        return [
            self._hanging(where, producer)
            for where, producers in sorted(suspects.items())
            for producer in producers
            if not _is_known(described.get(producer.producer_id), where)
        ]

    def _scope(self, topic: str | None, partition: int | None, broker_id: int | None) -> list[TopicPartition]:
        if topic is not None and partition is not None:
            return [TopicPartition(topic, partition)]
        names = [topic] if topic is not None else self._admin.topics()
        return [
            TopicPartition(described.name, each.partition)
            for described in self._admin.describe_topics(names)
            for each in described.partitions
            if broker_id is None or broker_id in each.replicas
        ]

    def _suspects(
        self, partitions: Sequence[TopicPartition], broker_id: int | None
    ) -> Mapping[TopicPartition, Sequence[ProducerInfo]]:
        """Producers whose transaction is open for too long already."""
        found = {}
        for first in range(0, len(partitions), PARTITIONS_PER_REQUEST):
            some = partitions[first : first + PARTITIONS_PER_REQUEST]
            for where, producers in self._transactions.producers(some, broker_id).items():
                late = [each for each in producers if self._is_late(each)]
                if late:
                    found[where] = late
        return found

    def _is_late(self, producer: ProducerInfo) -> bool:
        age_ms = self._now_ms - producer.last_timestamp_ms
        return producer.start_offset is not None and age_ms > self._timeout_max_ms

    def _described(self, producer_ids: Iterable[int]) -> Mapping[int, TransactionInfo]:
        """What their coordinators say, by producer id; a producer that no coordinator knows is missing."""
        found = {}
        for listing in self._transactions.listings(producer_ids=sorted(producer_ids)):
            try:
                found[listing.producer_id] = self._transactions.describe(listing.transactional_id)
            except RefusedError as error:
                if error.code is not ErrorCode.TRANSACTIONAL_ID_NOT_FOUND:
                    raise
        return found

    def _hanging(self, where: TopicPartition, producer: ProducerInfo) -> HangingTransaction:
        assert producer.start_offset is not None, "only open transactions are suspected"
        return HangingTransaction(
            topic=where.topic,
            partition=where.partition,
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            coordinator_epoch=producer.coordinator_epoch,
            start_offset=producer.start_offset,
            last_timestamp_ms=producer.last_timestamp_ms,
            duration_minutes=(self._now_ms - producer.last_timestamp_ms) // 60_000,
        )


def _is_known(described: TransactionInfo | None, where: TopicPartition) -> bool:
    """A coordinator that has this partition on its list will still write the marker."""
    return described is not None and where in described.partitions
