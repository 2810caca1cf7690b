"""Produce within transactions, by newer and older clients."""

from __future__ import annotations

import pytest
from transaction_client import Client, E, batch, begun

from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import (
    add_partitions_to_txn,
)


class TestProduce:
    def test_writing_is_joining_and_every_end_is_the_end_of_the_epoch(
        self, client: Client, topic: str, transactional_id: str
    ) -> None:
        producer = begun(client, transactional_id)
        both = {0: batch(producer, 0, b"a"), 1: batch(producer, 0, b"b")}
        assert client.write(topic, both, transactional_id) == {0: (E.NONE, 0), 1: (E.NONE, 0)}
        state = client.described(transactional_id)
        assert (state.transaction_state, state.topics[0].topic, sorted(state.topics[0].partitions)) == (
            "Ongoing",
            topic,
            [0, 1],
        )
        ended = client.end(transactional_id, producer)
        assert (ended.error_code, ended.producer_id, ended.producer_epoch) == (E.NONE, producer[0], producer[1] + 1)
        client.wait_for_the_markers(transactional_id)
        late = client.write(topic, {0: batch(producer, 1, b"late")}, transactional_id)
        assert late[0][0] is E.INVALID_PRODUCER_EPOCH
        bumped = (ended.producer_id, ended.producer_epoch)
        assert client.write(topic, {0: batch(bumped, 0, b"next")}, transactional_id) == {0: (E.NONE, 2)}
        again = client.end(transactional_id, producer)
        assert again.error_code == E.PRODUCER_FENCED, "in the middle of the next transaction nothing ended before it"

    def test_five_requests_at_once_begin_a_transaction_in_order(
        self, client: Client, topic: str, transactional_id: str
    ) -> None:
        producer = begun(client, transactional_id)
        for sequence in range(5):
            client.send_write(topic, {0: batch(producer, sequence, b"%d" % sequence)}, transactional_id)
        assert [client.written()[0] for _ in range(5)] == [(E.NONE, offset) for offset in range(5)]

    @pytest.mark.parametrize(
        ("version", "error"), [(3, E.INVALID_TXN_STATE), (10, E.INVALID_TXN_STATE), (11, E.TRANSACTION_ABORTABLE)]
    )
    def test_older_clients_must_have_added_the_partition(
        self, client: Client, topic: str, transactional_id: str, version: int, error: ErrorCode
    ) -> None:
        producer = begun(client, transactional_id)
        first = {0: batch(producer, 0, b"a")}
        assert client.write(topic, first, transactional_id, version)[0][0] is error
        added = client.ask(
            ApiKey.ADD_PARTITIONS_TO_TXN,
            3,
            add_partitions_to_txn.AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=transactional_id,
                v3_and_below_producer_id=producer[0],
                v3_and_below_producer_epoch=producer[1],
                v3_and_below_topics=[add_partitions_to_txn.AddPartitionsToTxnTopic(name=topic, partitions=[0])],
            ),
        )
        (topic_result,) = added.results_by_topic_v3_and_below
        assert [p.partition_error_code for p in topic_result.results_by_partition] == [E.NONE]
        assert client.write(topic, first, transactional_id, version) == {0: (E.NONE, 0)}

    def test_records_of_a_transaction_need_its_id(self, client: Client, topic: str, transactional_id: str) -> None:
        producer = begun(client, transactional_id)
        refused = client.write(topic, {0: batch(producer, 0, b"a")}, None)
        assert refused[0][0] is E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED

    def test_one_request_is_of_one_producer(self, client: Client, topic: str, transactional_id: str) -> None:
        one, other = begun(client, transactional_id), (9_999_999, 0)
        refused = client.write(topic, {0: batch(one, 0, b"a"), 1: batch(other, 0, b"b")}, transactional_id)
        assert {error for error, _ in refused.values()} == {E.INVALID_PRODUCER_ID_MAPPING}
        assert client.read(topic, committed=False) == []

    def test_somebody_elses_id_does_not_help(self, client: Client, topic: str, transactional_id: str) -> None:
        begun(client, transactional_id)
        foreign = (9_999_999, 0)
        refused = client.write(topic, {0: batch(foreign, 0, b"a")}, transactional_id)
        assert refused[0][0] is E.INVALID_PRODUCER_ID_MAPPING

    @pytest.mark.parametrize("name", ["__transaction_state", "__consumer_offsets"])
    def test_internal_topics_are_not_for_clients(self, client: Client, transactional_id: str, name: str) -> None:
        client.coordinator("any group", 0)
        producer = begun(client, transactional_id)
        error = E.NOT_LEADER_OR_FOLLOWER
        while error in (E.NOT_LEADER_OR_FOLLOWER, E.UNKNOWN_TOPIC_OR_PARTITION):
            error, _ = client.write(name, {0: batch(producer, 0, b"a")}, transactional_id)[0]
        assert error is E.INVALID_TOPIC_EXCEPTION

    def test_plain_records_of_a_transactional_producer_are_plain(
        self, client: Client, topic: str, transactional_id: str
    ) -> None:
        producer = begun(client, transactional_id)
        plain = batch(producer, 0, b"plain", transactional=False)
        assert client.write(topic, {0: plain}, transactional_id) == {0: (E.NONE, 0)}
        assert client.read(topic) == [b"plain"]

    def test_partitions_that_are_not_there_do_no_harm_to_the_others(
        self, client: Client, topic: str, transactional_id: str
    ) -> None:
        producer = begun(client, transactional_id)
        told = client.write(topic, {7: batch(producer, 0, b"a"), 0: batch(producer, 0, b"b")}, transactional_id)
        assert told == {7: (E.UNKNOWN_TOPIC_OR_PARTITION, -1), 0: (E.NONE, 0)}

    def test_without_acks_there_is_no_reply(self, client: Client, topic: str, transactional_id: str) -> None:
        producer = begun(client, transactional_id)
        client.send_write(topic, {0: batch(producer, 0, b"a")}, transactional_id, acks=0)
        assert client.end(transactional_id, producer).error_code in (E.NONE, E.INVALID_TXN_STATE)
