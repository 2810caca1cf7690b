"""The search for transactions that nobody will end, on a broker that is told what to answer."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.cli.hanging_transactions import HangingTransactions
from mainstem.client.admin import Admin
from mainstem.client.cluster import Cluster
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import describe_producers, describe_transactions, list_transactions
from mainstem.wire.messages.find_coordinator import Coordinator, FindCoordinatorResponse
from mainstem.wire.messages.metadata import MetadataResponsePartition, MetadataResponseTopic

from .conftest import FakeBroker

MINUTE_MS = 60_000
NOW_MS = 100 * MINUTE_MS
OLD, YOUNG, IDLE = 1, 2, 3


@pytest.fixture
def search(fake: FakeBroker, cluster: Cluster) -> HangingTransactions:
    """Partition t-0 has an old open transaction, a young one, and a producer without any."""

    def producer(producer_id: int, minutes: int, start: int) -> describe_producers.ProducerState:
        return describe_producers.ProducerState(
            producer_id=producer_id,
            last_timestamp=NOW_MS - minutes * MINUTE_MS,
            current_txn_start_offset=start,
            coordinator_epoch=-1,
        )

    known = [producer(OLD, 20, 5), producer(YOUNG, 1, 9), producer(IDLE, 50, -1)]
    partition = describe_producers.PartitionResponse(partition_index=0, active_producers=known)
    described = describe_producers.TopicResponse(name="t", partitions=[partition])
    topic = MetadataResponseTopic(
        name="t", partitions=[MetadataResponsePartition(partition_index=0, leader_id=1, replica_nodes=[1])]
    )
    fake.answers[ApiKey.METADATA] = lambda request: fake.metadata([topic])
    fake.answers[ApiKey.DESCRIBE_PRODUCERS] = lambda request: describe_producers.DescribeProducersResponse(
        topics=[described]
    )
    return HangingTransactions(Admin(cluster), NOW_MS, 15 * MINUTE_MS)


def told(
    fake: FakeBroker, *, listed: bool, error: ErrorCode = ErrorCode.NONE, partitions: tuple[int, ...] = ()
) -> None:
    """What the coordinator says about the old producer's transactional id."""
    state = list_transactions.TransactionState(transactional_id="x", producer_id=OLD, transaction_state="Ongoing")
    fake.answers[ApiKey.LIST_TRANSACTIONS] = lambda request: list_transactions.ListTransactionsResponse(
        transaction_states=[state] if listed else []
    )
    topics = [describe_transactions.TopicData(topic="t", partitions=list(partitions))]
    fake.answers[ApiKey.DESCRIBE_TRANSACTIONS] = lambda request: describe_transactions.DescribeTransactionsResponse(
        transaction_states=[
            describe_transactions.TransactionState(transactional_id="x", error_code=error, topics=topics)
        ]
    )

    def find(request: Any) -> FindCoordinatorResponse:
        return FindCoordinatorResponse(coordinators=[Coordinator(node_id=1, host="127.0.0.1", port=fake.port)])

    fake.answers[ApiKey.FIND_COORDINATOR] = find


def test_a_transaction_without_a_transactional_id_hangs(fake: FakeBroker, search: HangingTransactions) -> None:
    told(fake, listed=False)
    (found,) = search.find("t", None, None)
    assert (found.producer_id, found.start_offset, found.duration_minutes) == (OLD, 5, 20)


def test_a_transaction_whose_coordinator_has_forgotten_it_hangs(fake: FakeBroker, search: HangingTransactions) -> None:
    told(fake, listed=True, error=ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    assert [each.producer_id for each in search.find(None, None, 1)] == [OLD]


def test_a_transaction_that_left_the_partition_out_hangs(fake: FakeBroker, search: HangingTransactions) -> None:
    told(fake, listed=True, partitions=(1, 2))
    assert [each.producer_id for each in search.find("t", 0, None)] == [OLD]


def test_a_transaction_that_its_coordinator_will_end_does_not_hang(
    fake: FakeBroker, search: HangingTransactions
) -> None:
    told(fake, listed=True, partitions=(0,))
    assert search.find("t", None, None) == []


def test_nothing_is_asked_of_coordinators_when_nothing_is_late(fake: FakeBroker, cluster: Cluster, search: Any) -> None:
    told(fake, listed=False)
    patient = HangingTransactions(Admin(cluster), NOW_MS, 30 * MINUTE_MS)
    assert patient.find("t", None, None) == []
    assert fake.requests(ApiKey.LIST_TRANSACTIONS) == []
