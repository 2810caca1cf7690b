"""Transactions as they are on the wire: what no client library does, or does not let see."""

from __future__ import annotations

import itertools
import os
import random
import socket
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from mainstem import Broker
from mainstem.broker.routes import ROUTES
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT
from mainstem.model.errors import ErrorCode
from mainstem.wire import codec
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.messages import (
    add_offsets_to_txn,
    add_partitions_to_txn,
    describe_producers,
    describe_transactions,
    end_txn,
    fetch,
    find_coordinator,
    init_producer_id,
    list_transactions,
    offset_fetch,
    produce,
    txn_offset_commit,
    write_txn_markers,
)

E = ErrorCode
NOW_MS = 1_700_000_000_000
COMES_BACK = (E.CONCURRENT_TRANSACTIONS, E.COORDINATOR_LOAD_IN_PROGRESS, E.NOT_COORDINATOR)
_names = itertools.count()


@pytest.fixture(scope="module")
def broker() -> Iterator[Any]:
    """Ours, or the one MAINSTEM_TEST_BOOTSTRAP names: Apache Kafka gives the same answers (peers/with_kafka.py)."""
    given = os.environ.get("MAINSTEM_TEST_BOOTSTRAP")
    if given:
        yield SimpleNamespace(bootstrap_servers=given)
        return
    with Broker() as running:
        yield running


@pytest.fixture(scope="module")
def admin(broker: Any) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers})


@pytest.fixture
def topic(admin: AdminClient) -> str:
    name = f"t{next(_names)}"
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(20)
    # Kafka answers before the partitions have a leader.
    latest = {TopicPartition(name, p): OffsetSpec.latest() for p in (0, 1)}
    while True:
        try:
            for found in admin.list_offsets(latest).values():
                found.result(20)
        except KafkaException:
            continue
        break
    return name


class Client:
    """One connection; several requests may be under way."""

    def __init__(self, broker: Any) -> None:
        host, port = broker.bootstrap_servers.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._sent: list[tuple[ApiKey, int]] = []

    def close(self) -> None:
        self._socket.close()

    def send(self, api: ApiKey, version: int, request: Any) -> None:
        body = struct.pack(">hhih", api, version, len(self._sent), 1) + b"c"
        if version >= FLEXIBLE_FROM[api]:
            body += b"\0"
        body += codec.encode(codec.request_schema(api), version, request)
        self._socket.sendall(struct.pack(">i", len(body)) + body)
        self._sent.append((api, version))

    def receive(self) -> Any:
        api, version = self._sent.pop(0)
        (size,) = struct.unpack(">i", self._exactly(4))
        reply = self._exactly(size)
        return codec.decode(codec.response_schema(api), version, memoryview(reply), 4 + (version >= FLEXIBLE_FROM[api]))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            got = self._socket.recv(size - len(data))
            assert got, "the broker hung up"
            data += got
        return data

    def ask(self, api: ApiKey, version: int, request: Any) -> Any:
        self.send(api, version, request)
        return self.receive()

    # --- shorthands ---------------------------------------------------------------------------------------------------

    def init(
        self, transactional_id: str | None, version: int = 5, **fields: Any
    ) -> init_producer_id.InitProducerIdResponse:
        while True:
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
        while True:
            (found,) = self.ask(ApiKey.FIND_COORDINATOR, 6, request).coordinators
            if found.error_code == E.NONE:
                return found

    def end(self, transactional_id: str, producer: tuple[int, int], *, commit: bool = True, version: int = 5) -> Any:
        while True:
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
        while self.described(transactional_id).transaction_state.startswith("Prepare"):
            pass

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
        self.send(ApiKey.PRODUCE, version, request)

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


@pytest.fixture
def client(broker: Any) -> Iterator[Client]:
    made = Client(broker)
    yield made
    made.close()


@pytest.fixture
def transactional_id(client: Client) -> str:
    name = f"tx{next(_names)}"
    client.coordinator(name, 1)
    return name


def begun(client: Client, transactional_id: str) -> tuple[int, int]:
    response = client.init(transactional_id)
    assert response.error_code == E.NONE
    return response.producer_id, response.producer_epoch


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
        client._sent.pop()
        assert client.end(transactional_id, producer).error_code in (E.NONE, E.INVALID_TXN_STATE)


class TestSequences:
    """Idempotent batches that come twice, too early or not at all: nothing is doubled, nothing is lost."""

    @pytest.mark.parametrize("seed", range(20))
    def test_batches_in_any_order_end_up_once_and_in_order(self, client: Client, topic: str, seed: int) -> None:
        chance = random.Random(seed)
        response = client.init(None)
        producer = (response.producer_id, response.producer_epoch)
        values, acknowledged = [b"%d" % n for n in range(30)], 1
        # The first batch comes first: a log that knows nothing of a producer takes any, as in Kafka.
        assert client.write(topic, {0: batch(producer, 0, values[0], transactional=False)}, None) == {0: (E.NONE, 0)}
        while acknowledged < len(values):
            # What is not acknowledged yet, out of order, some of it twice, some of it missing; and old ones again.
            window = list(range(max(0, acknowledged - 3), min(acknowledged + 5, len(values))))
            for sequence in chance.choices(window, k=chance.randint(1, 8)):
                one = batch(producer, sequence, values[sequence], transactional=False)
                error, offset = client.write(topic, {0: one}, None)[0]
                if acknowledged - 5 <= sequence <= acknowledged:
                    assert (error, offset) == (E.NONE, sequence)
                    acknowledged = max(acknowledged, sequence + 1)
                else:
                    # Too early, or older than the five batches that a log remembers.
                    assert error is E.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert client.read(topic) == values

    def test_a_batch_that_only_looks_like_a_retry_is_refused(self, client: Client, topic: str) -> None:
        response = client.init(None)
        producer = (response.producer_id, response.producer_epoch)
        client.write(topic, {0: batch(producer, 0, b"a", b"b", transactional=False)}, None)
        other = client.write(topic, {0: batch(producer, 0, b"a", transactional=False)}, None)
        assert other[0][0] is E.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert client.read(topic) == [b"a", b"b"]


class TestFencing:
    @pytest.fixture
    def fenced(self, client: Client, transactional_id: str) -> tuple[int, int]:
        producer = begun(client, transactional_id)
        begun(client, transactional_id)
        return producer

    @pytest.mark.parametrize(("version", "error"), [(0, E.INVALID_PRODUCER_EPOCH), (1, E.INVALID_PRODUCER_EPOCH)])
    @pytest.mark.parametrize("newer", [0, 1])
    def test_every_api_has_its_word_for_it(
        self,
        client: Client,
        topic: str,
        transactional_id: str,
        fenced: tuple[int, int],
        version: int,
        error: E,
        newer: int,
    ) -> None:
        error = E.PRODUCER_FENCED if newer else error
        version += 2 * newer
        assert client.end(transactional_id, fenced, version=version).error_code == error
        offsets = add_offsets_to_txn.AddOffsetsToTxnRequest(
            transactional_id=transactional_id, producer_id=fenced[0], producer_epoch=fenced[1], group_id="g"
        )
        assert client.ask(ApiKey.ADD_OFFSETS_TO_TXN, version, offsets).error_code == error
        partitions = add_partitions_to_txn.AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=transactional_id,
            v3_and_below_producer_id=fenced[0],
            v3_and_below_producer_epoch=fenced[1],
            v3_and_below_topics=[add_partitions_to_txn.AddPartitionsToTxnTopic(name=topic, partitions=[0])],
        )
        (told,) = client.ask(ApiKey.ADD_PARTITIONS_TO_TXN, version, partitions).results_by_topic_v3_and_below
        assert [p.partition_error_code for p in told.results_by_partition] == [error]

    @pytest.mark.parametrize(("version", "error"), [(3, E.INVALID_PRODUCER_EPOCH), (4, E.PRODUCER_FENCED)])
    def test_so_does_init_producer_id(
        self, client: Client, transactional_id: str, fenced: tuple[int, int], version: int, error: ErrorCode
    ) -> None:
        response = client.init(transactional_id, version, producer_id=fenced[0], producer_epoch=fenced[1])
        assert (response.error_code, response.producer_id, response.producer_epoch) == (error, -1, -1)


class TestInitProducerId:
    @pytest.mark.parametrize(
        ("transactional_id", "fields", "error"),
        [
            ("", {}, E.INVALID_REQUEST),
            ("tx", {"producer_id": 5}, E.INVALID_REQUEST),
            ("tx", {"producer_epoch": 5}, E.INVALID_REQUEST),
            ("tx", {"transaction_timeout_ms": 0}, E.INVALID_TRANSACTION_TIMEOUT),
            ("tx", {"transaction_timeout_ms": 900_001}, E.INVALID_TRANSACTION_TIMEOUT),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, client: Client, transactional_id: str, fields: dict[str, int], error: ErrorCode
    ) -> None:
        client.coordinator("tx", 1)
        response = client.init(transactional_id, **fields)
        assert (response.error_code, response.producer_id, response.producer_epoch) == (error, -1, -1)

    @pytest.mark.parametrize("version", range(6))
    def test_every_version_gives_an_id(self, client: Client, transactional_id: str, version: int) -> None:
        response = client.init(transactional_id, version)
        assert (response.error_code, response.producer_epoch) == (E.NONE, 0)
        assert client.init(None, version).producer_id > response.producer_id


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
        while True:
            (topic,) = client.ask(ApiKey.TXN_OFFSET_COMMIT, version, request).topics
            error = E(topic.partitions[0].error_code)
            if error not in COMES_BACK:
                return error

    @pytest.mark.parametrize("commit", [True, False])
    def test_they_count_with_the_transaction(
        self, client: Client, topic: str, transactional_id: str, commit: bool
    ) -> None:
        group = f"g{next(_names)}"
        client.coordinator(group, 0)
        producer = begun(client, transactional_id)
        assert self.commit(client, 5, self.request(transactional_id, producer, group, topic)) is E.NONE
        assert self.committed(client, group, topic) == -E.UNSTABLE_OFFSET_COMMIT
        client.end(transactional_id, producer, commit=commit)
        while self.committed(client, group, topic) == -E.UNSTABLE_OFFSET_COMMIT:
            pass
        assert self.committed(client, group, topic) == (42 if commit else -1)

    @pytest.mark.parametrize(("version", "error"), [(3, E.INVALID_TXN_STATE), (4, E.TRANSACTION_ABORTABLE)])
    def test_older_clients_must_have_added_the_group(
        self, client: Client, topic: str, transactional_id: str, version: int, error: ErrorCode
    ) -> None:
        group = f"g{next(_names)}"
        client.coordinator(group, 0)
        producer = begun(client, transactional_id)
        request = self.request(transactional_id, producer, group, topic)
        assert self.commit(client, version, request) is error
        offsets = add_offsets_to_txn.AddOffsetsToTxnRequest(
            transactional_id=transactional_id, producer_id=producer[0], producer_epoch=producer[1], group_id=group
        )
        assert client.ask(ApiKey.ADD_OFFSETS_TO_TXN, 4, offsets).error_code == E.NONE
        assert self.commit(client, version, request) is E.NONE

    def test_refusals(self, client: Client, topic: str, transactional_id: str) -> None:
        group = f"g{next(_names)}"
        client.coordinator(group, 0)
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
        client = Client(fresh)
        response = client.ask(api, ROUTES[api].last_version, asking[api])
        client.close()
    (found,) = getattr(response, "transaction_states", [response])
    assert found.error_code == E.NOT_COORDINATOR
