"""Transactions as they are on the wire: a connection that says what no client library does, or does not let see."""

from __future__ import annotations

from typing import Any

from raw_connection import Deadline, RawConnection

from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import (
    describe_transactions,
    end_txn,
    fetch,
    find_coordinator,
    init_producer_id,
    produce,
)

E = ErrorCode
NOW_MS = 1_700_000_000_000
COMES_BACK = (E.CONCURRENT_TRANSACTIONS, E.COORDINATOR_LOAD_IN_PROGRESS, E.NOT_COORDINATOR)


class Client(RawConnection):
    """A connection with words for what transactions need."""

    def init(
        self, transactional_id: str | None, version: int = 5, **fields: Any
    ) -> init_producer_id.InitProducerIdResponse:
        deadline = Deadline("a producer id")
        while True:
            deadline.check()
            request = init_producer_id.InitProducerIdRequest(
                **{"transactional_id": transactional_id, "transaction_timeout_ms": 60_000, "producer_id": -1}
                | {"producer_epoch": -1}
                | fields
            )
            response = self.ask(ApiKey.INIT_PRODUCER_ID, version, request)
            if response.error_code not in COMES_BACK:
                return response

    def coordinator(self, key: str, key_type: int) -> Any:
        request = find_coordinator.FindCoordinatorRequest(key_type=key_type, coordinator_keys=[key])
        deadline = Deadline("a coordinator")
        while True:
            deadline.check()
            (found,) = self.ask(ApiKey.FIND_COORDINATOR, 6, request).coordinators
            if found.error_code == E.NONE:
                return found

    def end(self, transactional_id: str, producer: tuple[int, int], *, commit: bool = True, version: int = 5) -> Any:
        deadline = Deadline("the end of the transaction")
        while True:
            deadline.check()
            request = end_txn.EndTxnRequest(
                transactional_id=transactional_id,
                producer_id=producer[0],
                producer_epoch=producer[1],
                committed=commit,
            )
            response = self.ask(ApiKey.END_TXN, version, request)
            if response.error_code not in COMES_BACK:
                return response

    def described(self, transactional_id: str) -> describe_transactions.TransactionState:
        request = describe_transactions.DescribeTransactionsRequest(transactional_ids=[transactional_id])
        (state,) = self.ask(ApiKey.DESCRIBE_TRANSACTIONS, 0, request).transaction_states
        return state

    def wait_for_the_markers(self, transactional_id: str) -> None:
        deadline = Deadline("the markers")
        while True:
            deadline.check()
            if not self.described(transactional_id).transaction_state.startswith("Prepare"):
                return

    def write(self, topic: str, batches: dict[int, bytes], transactional_id: str | None, version: int = 12) -> Any:
        self.send_write(topic, batches, transactional_id, version)
        return self.written()

    def send_write(
        self, topic: str, batches: dict[int, bytes], transactional_id: str | None, version: int = 12, acks: int = -1
    ) -> None:
        data = [produce.PartitionProduceData(index=i, records=batch) for i, batch in batches.items()]
        request = produce.ProduceRequest(
            transactional_id=transactional_id,
            acks=acks,
            timeout_ms=1_000,
            topic_data=[produce.TopicProduceData(name=topic, partition_data=data)],
        )
        self.send(ApiKey.PRODUCE, version, request, is_answered=acks != 0)

    def written(self) -> dict[int, tuple[ErrorCode, int]]:
        (found,) = self.receive().responses
        return {p.index: (E(p.error_code), p.base_offset) for p in found.partition_responses}

    def read(self, topic: str, partition: int = 0, *, committed: bool = True) -> list[bytes]:
        request = fetch.FetchRequest(
            max_wait_ms=0,
            min_bytes=0,
            max_bytes=1 << 22,
            isolation_level=int(committed),
            topics=[
                fetch.FetchTopic(
                    topic=topic,
                    partitions=[fetch.FetchPartition(partition=partition, fetch_offset=0, partition_max_bytes=1 << 22)],
                )
            ],
        )
        ((found,),) = (t.partitions for t in self.ask(ApiKey.FETCH, 12, request).responses)
        assert found.error_code == E.NONE
        return [value or b"" for value in records.decode(found.records or b"").values]


def batch(producer: tuple[int, int], sequence: int, *values: bytes, transactional: bool = True) -> bytes:
    return records.encode(
        [None] * len(values),
        list(values),
        [NOW_MS] * len(values),
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=sequence,
        attributes=TRANSACTIONAL_BIT if transactional else 0,
    )


def begun(client: Client, transactional_id: str) -> tuple[int, int]:
    response = client.init(transactional_id)
    assert response.error_code == E.NONE
    return response.producer_id, response.producer_epoch
