"""Transactions as their coordinators and the partitions' leaders see them (KIP-664), and how to end one that hangs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from mainstem.client.cluster import NOBODY, TRANSACTION, Cluster, by_topic
from mainstem.client.errors import RefusedError, check, error_of, refusal
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.describe_producers import DescribeProducersRequest, DescribeProducersResponse, TopicRequest
from mainstem.wire.messages.describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse
from mainstem.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from mainstem.wire.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse
from mainstem.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from mainstem.wire.schema import Message

ANY_DURATION = -1
NONE = -1
"""What the protocol says for an epoch or an offset that is not there."""
PATTERN_SINCE, DURATION_SINCE = 2, 1


class TransactionListing(msgspec.Struct, frozen=True, kw_only=True):
    transactional_id: str
    coordinator: int
    producer_id: int
    state: str


class TransactionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`start_ms` is None while no transaction is open; times in milliseconds since 1970."""

    coordinator_id: int
    transactional_id: str
    state: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    start_ms: int | None
    partitions: tuple[TopicPartition, ...]


class ProducerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A producer as a partition's leader knows it. `start_offset` is None while it has no open transaction."""

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    last_sequence: int
    last_timestamp_ms: int
    start_offset: int | None


class Transactions:
    """Every method raises UnreachableError or RefusedError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def listings(
        self,
        *,
        duration_ms: int = ANY_DURATION,
        pattern: str | None = None,
        producer_ids: Sequence[int] = (),
    ) -> list[TransactionListing]:
        """Of all coordinators, by transactional id. `duration_ms`: only those that run for longer."""
        found = []
        request = ListTransactionsRequest(
            duration_filter=duration_ms, transactional_id_pattern=pattern, producer_id_filters=list(producer_ids)
        )
        for node in self._cluster.nodes():
            broker = self._cluster.broker(node.id)
            served = broker.served().get(ApiKey.LIST_TRANSACTIONS, (0, 0))[1]
            if (pattern is not None and served < PATTERN_SINCE) or (duration_ms >= 0 and served < DURATION_SINCE):
                raise RefusedError(ErrorCode.UNSUPPORTED_VERSION, f"broker {node.id} is too old to filter transactions")
            answer = broker.ask(ApiKey.LIST_TRANSACTIONS, request)
            assert isinstance(answer, ListTransactionsResponse), answer
            check(answer.error_code)
            found += [
                TransactionListing(
                    transactional_id=each.transactional_id,
                    coordinator=node.id,
                    producer_id=each.producer_id,
                    state=each.transaction_state,
                )
                for each in answer.transaction_states
            ]
        return sorted(found, key=lambda each: each.transactional_id)

    def describe(self, transactional_id: str) -> TransactionInfo:
        node = self._cluster.coordinator(TRANSACTION, transactional_id)
        request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
        answer = self._cluster.ask_coordinator(
            TRANSACTION, transactional_id, ApiKey.DESCRIBE_TRANSACTIONS, request, 32767, _described_error
        )
        assert isinstance(answer, DescribeTransactionsResponse), answer
        check(_described_error(answer))
        (state,) = answer.transaction_states
        return TransactionInfo(
            coordinator_id=node.id,
            transactional_id=state.transactional_id,
            state=state.transaction_state,
            producer_id=state.producer_id,
            producer_epoch=state.producer_epoch,
            timeout_ms=state.transaction_timeout_ms,
            start_ms=state.transaction_start_time_ms if state.transaction_start_time_ms >= 0 else None,
            partitions=tuple(
                TopicPartition(topic.topic, number) for topic in state.topics for number in sorted(topic.partitions)
            ),
        )

    def producers(
        self, partitions: Iterable[TopicPartition], broker_id: int | None = None
    ) -> dict[TopicPartition, list[ProducerInfo]]:
        """Asks each partition's leader, or the broker that is named: it may be a replica."""
        wanted = list(partitions)
        leaders = dict.fromkeys(wanted, broker_id) if broker_id is not None else self._leaders(wanted)
        found: dict[TopicPartition, list[ProducerInfo]] = {}
        for leader in sorted({leader for leader in leaders.values() if leader is not None}):
            found |= self._producers_of(leader, [each for each in wanted if leaders[each] == leader])
        return found

    def _leaders(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        leaders = self._cluster.leaders(partitions)
        for partition in partitions:
            if partition not in leaders:
                raise refusal(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            if leaders[partition] == NOBODY:
                raise refusal(ErrorCode.LEADER_NOT_AVAILABLE)
        return leaders

    def _producers_of(
        self, broker_id: int, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, list[ProducerInfo]]:
        topics = [
            TopicRequest(name=topic, partition_indexes=list(each)) for topic, each in by_topic(partitions).items()
        ]
        answer = self._cluster.broker(broker_id).ask(ApiKey.DESCRIBE_PRODUCERS, DescribeProducersRequest(topics=topics))
        assert isinstance(answer, DescribeProducersResponse), answer
        found = {}
        for topic in answer.topics:
            for each in topic.partitions:
                check(each.error_code, each.error_message)
                found[TopicPartition(topic.name, each.partition_index)] = [
                    ProducerInfo(
                        producer_id=producer.producer_id,
                        producer_epoch=producer.producer_epoch,
                        coordinator_epoch=producer.coordinator_epoch,
                        last_sequence=producer.last_sequence,
                        last_timestamp_ms=producer.last_timestamp,
                        start_offset=(
                            producer.current_txn_start_offset if producer.current_txn_start_offset >= 0 else None
                        ),
                    )
                    for producer in each.active_producers
                ]
        return found

    def abort(self, partition: TopicPartition, producer_id: int, producer_epoch: int, coordinator_epoch: int) -> None:
        """Writes an abort marker into one partition, past the coordinator: for a transaction that it has lost."""
        marker = WritableTxnMarker(
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            coordinator_epoch=coordinator_epoch,
            transaction_result=False,
            topics=[WritableTxnMarkerTopic(name=partition.topic, partition_indexes=[partition.partition])],
        )
        leader = self._leaders([partition])[partition]
        answer = self._cluster.broker(leader).ask(ApiKey.WRITE_TXN_MARKERS, WriteTxnMarkersRequest(markers=[marker]), 1)
        assert isinstance(answer, WriteTxnMarkersResponse), answer
        (result,) = answer.markers
        (topic,) = result.topics
        (written,) = topic.partitions
        check(written.error_code)

    def fence(self, transactional_id: str) -> None:
        """Ends what a transactional id has open and fences its producers (KIP-588)."""
        request = InitProducerIdRequest(
            transactional_id=transactional_id,
            transaction_timeout_ms=1,
            producer_id=NONE,
            producer_epoch=NONE,
        )

        def ask() -> None:
            answer = self._cluster.ask_coordinator(
                TRANSACTION, transactional_id, ApiKey.INIT_PRODUCER_ID, request, 5, _fenced_error
            )
            check(_fenced_error(answer))

        # The coordinator answers so while it aborts what was open.
        self._cluster.repeated(ask, frozenset({ErrorCode.CONCURRENT_TRANSACTIONS}))


def _described_error(answer: Message) -> int:
    assert isinstance(answer, DescribeTransactionsResponse), answer
    return error_of(answer.transaction_states[0].error_code)


def _fenced_error(answer: Message) -> int:
    assert isinstance(answer, InitProducerIdResponse), answer
    return error_of(answer.error_code)
