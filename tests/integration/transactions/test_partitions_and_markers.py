"""AddPartitionsToTxn and WriteTxnMarkers: how a partition joins a transaction, and how that ends in its log."""

from __future__ import annotations

from typing import Any

import pytest
from transaction_client import NOW_MS, Client, E, batch, begun

from mainstem.model import records
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import (
    add_partitions_to_txn,
    describe_producers,
    write_txn_markers,
)


class TestAddPartitions:
    def test_one_that_is_missing_spoils_the_list(self, client: Client, topic: str, transactional_id: str) -> None:
        producer = begun(client, transactional_id)
        lists = [("nowhere", [0]), (topic, [0, 9])]
        request = add_partitions_to_txn.AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=transactional_id,
            v3_and_below_producer_id=producer[0],
            v3_and_below_producer_epoch=producer[1],
            v3_and_below_topics=[add_partitions_to_txn.AddPartitionsToTxnTopic(name=n, partitions=p) for n, p in lists],
        )
        told = client.ask(ApiKey.ADD_PARTITIONS_TO_TXN, 3, request).results_by_topic_v3_and_below
        found = {(t.name, p.partition_index): p.partition_error_code for t in told for p in t.results_by_partition}
        assert found == {
            ("nowhere", 0): E.UNKNOWN_TOPIC_OR_PARTITION,
            (topic, 0): E.OPERATION_NOT_ATTEMPTED,
            (topic, 9): E.UNKNOWN_TOPIC_OR_PARTITION,
        }

    def test_brokers_add_and_verify_for_several_at_once(
        self, client: Client, topic: str, transactional_id: str
    ) -> None:
        producer = begun(client, transactional_id)

        def one(name: str, *partitions: int, verifies: bool) -> Any:
            return add_partitions_to_txn.AddPartitionsToTxnTransaction(
                transactional_id=name,
                producer_id=producer[0],
                producer_epoch=producer[1],
                verify_only=verifies,
                topics=[add_partitions_to_txn.AddPartitionsToTxnTopic(name=topic, partitions=partitions)],
            )

        def told(*transactions: Any) -> dict[str, dict[int, int]]:
            request = add_partitions_to_txn.AddPartitionsToTxnRequest(transactions=transactions)
            response = client.ask(ApiKey.ADD_PARTITIONS_TO_TXN, 5, request)
            assert response.error_code == E.NONE
            return {
                result.transactional_id: {
                    p.partition_index: p.partition_error_code for p in result.topic_results[0].results_by_partition
                }
                for result in response.results_by_transaction
            }

        other = f"{transactional_id}-unknown"
        client.coordinator(other, 1)
        unknown = one(other, 0, verifies=True)
        assert told(one(transactional_id, 0, verifies=True), unknown) == {
            transactional_id: {0: E.TRANSACTION_ABORTABLE},
            other: {0: E.INVALID_PRODUCER_ID_MAPPING},
        }
        assert told(one(transactional_id, 0, verifies=False)) == {transactional_id: {0: E.NONE}}
        assert told(one(transactional_id, 0, 1, verifies=True)) == {
            transactional_id: {0: E.NONE, 1: E.TRANSACTION_ABORTABLE}
        }


class TestMarkers:
    def write(self, client: Client, topic: str, producer: tuple[int, int], partition: int = 0, epoch: int = 0) -> int:
        marker = write_txn_markers.WritableTxnMarker(
            producer_id=producer[0],
            producer_epoch=producer[1],
            transaction_result=False,
            coordinator_epoch=epoch,
            topics=[write_txn_markers.WritableTxnMarkerTopic(name=topic, partition_indexes=[partition])],
        )
        request = write_txn_markers.WriteTxnMarkersRequest(markers=[marker])
        (found,) = client.ask(ApiKey.WRITE_TXN_MARKERS, 1, request).markers
        assert found.producer_id == producer[0]
        code: int = found.topics[0].partitions[0].error_code
        return code

    def test_a_marker_ends_the_transaction_in_its_log(self, client: Client, topic: str, transactional_id: str) -> None:
        producer = begun(client, transactional_id)
        client.write(topic, {0: batch(producer, 0, b"a")}, transactional_id)
        assert self.write(client, topic, producer) == E.NONE
        plain = records.encode([None], [b"behind"], [NOW_MS])
        client.write(topic, {0: plain}, None)
        producers = describe_producers.DescribeProducersRequest(
            topics=[describe_producers.TopicRequest(name=topic, partition_indexes=[0, 5])]
        )
        (described,) = client.ask(ApiKey.DESCRIBE_PRODUCERS, 0, producers).topics
        here, missing = described.partitions
        (state,) = here.active_producers
        assert (state.producer_id, state.current_txn_start_offset) == (producer[0], -1)
        assert missing.error_code == E.UNKNOWN_TOPIC_OR_PARTITION

    def test_zombies_are_refused(self, client: Client, topic: str, transactional_id: str) -> None:
        producer = begun(client, transactional_id)
        client.write(topic, {0: batch(producer, 0, b"a")}, transactional_id)
        assert self.write(client, topic, (producer[0], producer[1] + 1), epoch=5) == E.NONE
        assert self.write(client, topic, producer) == E.INVALID_PRODUCER_EPOCH
        assert self.write(client, topic, (producer[0], producer[1] + 1), epoch=4) == E.TRANSACTION_COORDINATOR_FENCED

    @pytest.mark.parametrize(("name", "partition"), [("nowhere", 0), ("__consumer_offsets", 999)])
    def test_partitions_that_are_not_there(self, client: Client, name: str, partition: int) -> None:
        assert self.write(client, name, (1, 0), partition) == E.UNKNOWN_TOPIC_OR_PARTITION

    def test_no_markers_no_answers(self, client: Client) -> None:
        request = write_txn_markers.WriteTxnMarkersRequest()
        assert list(client.ask(ApiKey.WRITE_TXN_MARKERS, 1, request).markers) == []
