"""A worker that speaks the newest protocol itself: an epoch for every transaction, writing to a partition adds it (KIP-890).

No client library for Python does that yet. It copies one partition, keeps asking where a reply was lost, and begins anew from
what is committed where it does not know how things stand.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from typing import Any

from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT
from mainstem.model.errors import ErrorCode
from mainstem.wire import codec
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.messages import (
    end_txn,
    fetch,
    find_coordinator,
    init_producer_id,
    offset_fetch,
    produce,
    txn_offset_commit,
)

E = ErrorCode
TIMEOUT_S = 5.0
AT_ONCE, AT_ONCE_BYTES = 4, 2_000
COMES_BACK = {
    E.CONCURRENT_TRANSACTIONS,
    E.COORDINATOR_LOAD_IN_PROGRESS,
    E.COORDINATOR_NOT_AVAILABLE,
    E.NOT_COORDINATOR,
    E.NOT_ENOUGH_REPLICAS,
    E.UNSTABLE_OFFSET_COMMIT,
}


class StartOver(Exception):
    """What the transaction became is not known, or it is lost for good."""


class Worker:
    def __init__(self, bootstrap: str, source: str, sink: str, group: str, transactional_id: str) -> None:
        host, port = bootstrap.split(":")
        self._address = (host, int(port))
        self._source, self._sink, self._group, self._id = source, sink, group, transactional_id
        self._partition = int(transactional_id.rpartition("-")[2])
        self._socket: socket.socket | None = None

    # --- the wire -----------------------------------------------------------------------------------------------------

    def ask(self, api: ApiKey, version: int, request: Any) -> Any:
        """Again and again, over new connections where the old one broke: every request here may come twice."""
        body = struct.pack(">hhih", api, version, 1, 1) + b"c" + (b"\0" if version >= FLEXIBLE_FROM[api] else b"")
        body += codec.encode(codec.request_schema(api), version, request)
        while True:
            try:
                reply = self._exchange(struct.pack(">i", len(body)) + body)
                skip = 4 + (version >= FLEXIBLE_FROM[api])
                return codec.decode(codec.response_schema(api), version, memoryview(reply), skip)
            except OSError:
                self._hang_up()
                time.sleep(0.05)

    def _exchange(self, frame: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=TIMEOUT_S)
        self._socket.sendall(frame)
        (size,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < size:
            got = self._socket.recv(size - len(data))
            if not got:
                raise ConnectionResetError("the broker hung up")
            data += got
        return data

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def until_done(self, api: ApiKey, version: int, request: Any, code_of: Any) -> Any:
        while True:
            response = self.ask(api, version, request)
            error = E(code_of(response))
            if error is E.NONE:
                return response
            if error not in COMES_BACK:
                raise StartOver(f"{api.name}: {error.name}")
            time.sleep(0.02)

    # --- the work -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        while True:
            try:
                self._copy()
            except StartOver as reason:
                print(f"{self._id}: {reason}", file=sys.stderr)

    def _copy(self) -> None:
        for kind, key in ((1, self._id), (0, self._group)):
            request = find_coordinator.FindCoordinatorRequest(key_type=kind, coordinator_keys=[key])
            self.until_done(ApiKey.FIND_COORDINATOR, 6, request, lambda r: r.coordinators[0].error_code)
        begun = self.until_done(
            ApiKey.INIT_PRODUCER_ID,
            5,
            init_producer_id.InitProducerIdRequest(
                transactional_id=self._id, transaction_timeout_ms=6_000, producer_id=-1, producer_epoch=-1
            ),
            lambda r: r.error_code,
        )
        producer = (begun.producer_id, begun.producer_epoch)
        position = self._committed()
        while True:
            values, position = self._read(position)
            if values:
                producer = self._transaction(producer, values, position)

    def _committed(self) -> int:
        request = offset_fetch.OffsetFetchRequest(
            groups=[
                offset_fetch.OffsetFetchRequestGroup(
                    group_id=self._group,
                    topics=[
                        offset_fetch.OffsetFetchRequestTopics(name=self._source, partition_indexes=[self._partition])
                    ],
                )
            ],
            require_stable=True,
        )

        def code_of(response: Any) -> int:
            (group,) = response.groups
            return group.error_code or group.topics[0].partitions[0].error_code

        response = self.until_done(ApiKey.OFFSET_FETCH, 8, request, code_of)
        return max(0, response.groups[0].topics[0].partitions[0].committed_offset)

    def _read(self, position: int) -> tuple[list[bytes], int]:
        partition = fetch.FetchPartition(
            partition=self._partition, fetch_offset=position, partition_max_bytes=AT_ONCE_BYTES
        )
        request = fetch.FetchRequest(
            max_wait_ms=100,
            min_bytes=1,
            max_bytes=AT_ONCE_BYTES,
            isolation_level=1,
            topics=[fetch.FetchTopic(topic=self._source, partitions=[partition])],
        )
        response = self.until_done(
            ApiKey.FETCH, 12, request, lambda r: r.error_code or r.responses[0].partitions[0].error_code
        )
        columns = records.decode(response.responses[0].partitions[0].records or b"", from_offset=position)
        values, offsets = columns.values[:AT_ONCE], columns.offsets[:AT_ONCE]
        return [value or b"" for value in values], offsets[-1] + 1 if offsets else position

    def _transaction(self, producer: tuple[int, int], values: list[bytes], position: int) -> tuple[int, int]:
        batch = records.encode(
            [None] * len(values),
            [b"seen " + value for value in values],
            [int(time.time() * 1000)] * len(values),
            producer_id=producer[0],
            producer_epoch=producer[1],
            base_sequence=0,
            attributes=TRANSACTIONAL_BIT,
        )
        data = produce.PartitionProduceData(index=self._partition, records=batch)
        self.until_done(
            ApiKey.PRODUCE,
            12,
            produce.ProduceRequest(
                transactional_id=self._id,
                acks=-1,
                timeout_ms=5_000,
                topic_data=[produce.TopicProduceData(name=self._sink, partition_data=[data])],
            ),
            lambda r: r.responses[0].partition_responses[0].error_code,
        )
        offset = txn_offset_commit.TxnOffsetCommitRequestPartition(
            partition_index=self._partition, committed_offset=position
        )
        self.until_done(
            ApiKey.TXN_OFFSET_COMMIT,
            5,
            txn_offset_commit.TxnOffsetCommitRequest(
                transactional_id=self._id,
                group_id=self._group,
                producer_id=producer[0],
                producer_epoch=producer[1],
                topics=[txn_offset_commit.TxnOffsetCommitRequestTopic(name=self._source, partitions=[offset])],
            ),
            lambda r: r.topics[0].partitions[0].error_code,
        )
        ended = self.until_done(
            ApiKey.END_TXN,
            5,
            end_txn.EndTxnRequest(
                transactional_id=self._id, producer_id=producer[0], producer_epoch=producer[1], committed=True
            ),
            lambda r: r.error_code,
        )
        return ended.producer_id, ended.producer_epoch


if __name__ == "__main__":
    Worker(*sys.argv[1:]).run()
