"""ListTransactions, DescribeTransactions and DescribeProducers; and a broker whose internal topics do not exist yet."""

from __future__ import annotations

from typing import Any

import pytest
from transaction_client import Client, E, begun

from mainstem import Broker
from mainstem.broker.routes import ROUTES
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import (
    add_offsets_to_txn,
    describe_producers,
    describe_transactions,
    end_txn,
    init_producer_id,
    list_transactions,
)


class TestLooking:
    def listed(self, client: Client, version: int = 2, **fields: Any) -> Any:
        return client.ask(ApiKey.LIST_TRANSACTIONS, version, list_transactions.ListTransactionsRequest(**fields))

    def test_unknown_states_are_named(self, client: Client, transactional_id: str) -> None:
        begun(client, transactional_id)
        only_unknown = self.listed(client, state_filters=["Nonsense"])
        assert list(only_unknown.unknown_state_filters) == ["Nonsense"]
        assert list(only_unknown.transaction_states) == []
        mixed = self.listed(client, state_filters=["Nonsense", "Empty"])
        assert transactional_id in {t.transactional_id for t in mixed.transaction_states}

    def test_a_pattern_that_is_none_is_refused(self, client: Client) -> None:
        assert self.listed(client, transactional_id_pattern="(").error_code == E.INVALID_REGULAR_EXPRESSION

    @pytest.mark.parametrize("version", [0, 1, 2])
    def test_every_version(self, client: Client, transactional_id: str, version: int) -> None:
        producer = begun(client, transactional_id)
        found = self.listed(client, version, producer_id_filters=[producer[0]])
        assert [(t.transactional_id, t.transaction_state) for t in found.transaction_states] == [
            (transactional_id, "Empty")
        ]

    def test_an_id_that_nobody_knows(self, client: Client) -> None:
        client.coordinator("nobody", 1)
        request = describe_transactions.DescribeTransactionsRequest(transactional_ids=["nobody", ""])
        unknown, empty = client.ask(ApiKey.DESCRIBE_TRANSACTIONS, 0, request).transaction_states
        assert (unknown.error_code, empty.error_code) == (E.TRANSACTIONAL_ID_NOT_FOUND, E.INVALID_REQUEST)

    def test_a_topic_with_a_name_that_cannot_be(self, client: Client) -> None:
        request = describe_producers.DescribeProducersRequest(
            topics=[describe_producers.TopicRequest(name="a topic", partition_indexes=[0])]
        )
        (described,) = client.ask(ApiKey.DESCRIBE_PRODUCERS, 0, request).topics
        assert described.partitions[0].error_code == E.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize(
    "api", [ApiKey.INIT_PRODUCER_ID, ApiKey.ADD_OFFSETS_TO_TXN, ApiKey.END_TXN, ApiKey.DESCRIBE_TRANSACTIONS]
)
def test_before_there_is_a_coordinator_the_client_is_sent_to_look_for_one(api: ApiKey) -> None:
    """A broker whose internal topics do not exist yet."""
    asking: dict[ApiKey, Any] = {
        ApiKey.INIT_PRODUCER_ID: init_producer_id.InitProducerIdRequest(
            transactional_id="tx", transaction_timeout_ms=1, producer_id=-1, producer_epoch=-1
        ),
        ApiKey.ADD_OFFSETS_TO_TXN: add_offsets_to_txn.AddOffsetsToTxnRequest(transactional_id="tx"),
        ApiKey.END_TXN: end_txn.EndTxnRequest(transactional_id="tx"),
        ApiKey.DESCRIBE_TRANSACTIONS: describe_transactions.DescribeTransactionsRequest(transactional_ids=["tx"]),
    }
    with Broker() as fresh:
        client = Client(fresh.bootstrap_servers)
        response = client.ask(api, ROUTES[api].last_version, asking[api])
        client.close()
    (found,) = getattr(response, "transaction_states", [response])
    assert found.error_code == E.NOT_COORDINATOR
