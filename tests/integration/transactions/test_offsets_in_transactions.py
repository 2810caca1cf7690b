"""TxnOffsetCommit and AddOffsetsToTxn: offsets that count with their transaction."""

from __future__ import annotations

from typing import Any

import pytest
from raw_connection import Deadline
from transaction_client import COMES_BACK, Client, E, begun

from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import (
    add_offsets_to_txn,
    offset_fetch,
    txn_offset_commit,
)


class TestOffsets:
    def committed(self, client: Client, group: str, topic: str) -> int:
        request = offset_fetch.OffsetFetchRequest(
            groups=[
                offset_fetch.OffsetFetchRequestGroup(
                    group_id=group,
                    topics=[offset_fetch.OffsetFetchRequestTopics(name=topic, partition_indexes=[0])],
                )
            ],
            require_stable=True,
        )
        (found,) = client.ask(ApiKey.OFFSET_FETCH, 8, request).groups
        (partition,) = found.topics[0].partitions
        return partition.committed_offset if partition.error_code == E.NONE else -partition.error_code

    def request(self, transactional_id: str, producer: tuple[int, int], group: str, topic: str, **fields: Any) -> Any:
        offsets = txn_offset_commit.TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=42)
        return txn_offset_commit.TxnOffsetCommitRequest(
            **{
                "transactional_id": transactional_id,
                "group_id": group,
                "producer_id": producer[0],
                "producer_epoch": producer[1],
                "topics": [txn_offset_commit.TxnOffsetCommitRequestTopic(name=topic, partitions=[offsets])],
            }
            | fields
        )

    def commit(self, client: Client, version: int, request: Any) -> ErrorCode:
        deadline = Deadline("a coordinator that takes the offsets")
        while True:
            deadline.check()
            (topic,) = client.ask(ApiKey.TXN_OFFSET_COMMIT, version, request).topics
            error = E(topic.partitions[0].error_code)
            if error not in COMES_BACK:
                return error

    @pytest.mark.parametrize("commit", [True, False])
    def test_they_count_with_the_transaction(
        self, client: Client, topic: str, transactional_id: str, group: str, commit: bool
    ) -> None:
        producer = begun(client, transactional_id)
        assert self.commit(client, 5, self.request(transactional_id, producer, group, topic)) is E.NONE
        assert self.committed(client, group, topic) == -E.UNSTABLE_OFFSET_COMMIT
        client.end(transactional_id, producer, commit=commit)
        while self.committed(client, group, topic) == -E.UNSTABLE_OFFSET_COMMIT:
            pass
        assert self.committed(client, group, topic) == (42 if commit else -1)

    @pytest.mark.parametrize(("version", "error"), [(3, E.INVALID_TXN_STATE), (4, E.TRANSACTION_ABORTABLE)])
    def test_older_clients_must_have_added_the_group(
        self, client: Client, topic: str, transactional_id: str, group: str, version: int, error: ErrorCode
    ) -> None:
        producer = begun(client, transactional_id)
        request = self.request(transactional_id, producer, group, topic)
        assert self.commit(client, version, request) is error
        offsets = add_offsets_to_txn.AddOffsetsToTxnRequest(
            transactional_id=transactional_id, producer_id=producer[0], producer_epoch=producer[1], group_id=group
        )
        assert client.ask(ApiKey.ADD_OFFSETS_TO_TXN, 4, offsets).error_code == E.NONE
        assert self.commit(client, version, request) is E.NONE

    def test_refusals(self, client: Client, topic: str, transactional_id: str, group: str) -> None:
        producer = begun(client, transactional_id)
        make = self.request
        assert self.commit(client, 5, make(transactional_id, producer, "", topic)) is E.INVALID_GROUP_ID
        stale = make(transactional_id, producer, group, topic, generation_id=3, member_id="m")
        assert self.commit(client, 5, stale) is E.ILLEGAL_GENERATION
        assert (
            self.commit(client, 5, make(transactional_id, producer, group, "nowhere")) is E.UNKNOWN_TOPIC_OR_PARTITION
        )
        zombie = make(transactional_id, (producer[0], producer[1] + 1), group, topic)
        assert self.commit(client, 5, zombie) is E.INVALID_PRODUCER_EPOCH
        foreign = make(transactional_id, (producer[0] + 1, 0), group, topic)
        assert self.commit(client, 5, foreign) is E.INVALID_PRODUCER_ID_MAPPING
