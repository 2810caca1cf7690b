"""Fetch as a client sees it on the wire: sessions, limits, and the first batch that is always whole."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem import Broker
from mainstem.model.batch import iterate
from mainstem.model.errors import ErrorCode
from mainstem.wire import codec
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import fetch

VERSION = 12


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Topic `t`, two partitions with five batches of one record of 1,000 bytes each; topic `empty` with one."""
    with Broker() as running:
        admin = AdminClient({"bootstrap.servers": running.bootstrap_servers})
        for done in admin.create_topics([NewTopic("t", 2, 1), NewTopic("empty", 1, 1)]).values():
            done.result(20)
        for partition in (0, 1):
            fill(running, "t", partition, 5)
        yield running


def fill(broker: Broker, topic: str, partition: int, count: int) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})
    for _ in range(count):
        producer.produce(topic, b"v" * 1000, partition=partition)
        assert producer.flush(20) == 0


class Client:
    """One connection that speaks Fetch 12."""

    def __init__(self, broker: Broker) -> None:
        host, port = broker.bootstrap_servers.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)

    def close(self) -> None:
        self._socket.close()

    def fetch(self, **fields: object) -> fetch.FetchResponse:
        self.send(**fields)
        return self.receive()

    def send(self, **fields: object) -> None:
        request = fetch.FetchRequest(**{"max_wait_ms": 0, "min_bytes": 1, "max_bytes": 1 << 20, **fields})
        body = struct.pack(">hhih", ApiKey.FETCH, VERSION, 1, 1) + b"c\0"
        body += codec.encode(codec.request_schema(ApiKey.FETCH), VERSION, request)
        self._socket.sendall(struct.pack(">i", len(body)) + body)

    def receive(self) -> fetch.FetchResponse:
        (size,) = struct.unpack(">i", self._read(4))
        answer = codec.decode(codec.response_schema(ApiKey.FETCH), VERSION, memoryview(self._read(size))[5:])
        assert isinstance(answer, fetch.FetchResponse)
        return answer

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            assert more
            data += more
        return data


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    connection = Client(broker)
    yield connection
    connection.close()


def wanted(*partitions: tuple[int, int], topic: str = "t", max_bytes: int = 1 << 20, **fields: int) -> fetch.FetchTopic:
    return fetch.FetchTopic(
        topic=topic,
        partitions=[
            fetch.FetchPartition(partition=p, fetch_offset=o, partition_max_bytes=max_bytes, **fields)
            for p, o in partitions
        ],
    )


def offsets(answer: fetch.FetchResponse) -> dict[int, list[int]]:
    return {
        p.partition_index: [h.base_offset for _, h in iterate(p.records or b"")]
        for topic in answer.responses
        for p in topic.partitions
    }


def test_session_answers_what_is_new_only(broker: Broker, client: Client) -> None:
    first = client.fetch(session_epoch=0, topics=[wanted((0, 5), topic="t"), wanted((0, 0), topic="empty")])
    assert first.session_id > 0
    assert [t.topic for t in first.responses] == ["t", "empty"]
    quiet = client.fetch(session_id=first.session_id, session_epoch=1)
    assert (quiet.error_code, quiet.session_id, quiet.responses) == (0, first.session_id, [])
    fill(broker, "empty", 0, 1)
    news = client.fetch(session_id=first.session_id, session_epoch=2)
    assert [(t.topic, [p.high_watermark for p in t.partitions]) for t in news.responses] == [("empty", [1])]
    moved = client.fetch(session_id=first.session_id, session_epoch=3, topics=[wanted((0, 1), topic="empty")])
    assert moved.responses == []
    forgotten = client.fetch(
        session_id=first.session_id,
        session_epoch=4,
        forgotten_topics_data=[fetch.ForgottenTopic(topic="empty", partitions=[0])],
    )
    assert (forgotten.error_code, forgotten.responses) == (0, [])


def test_session_waits_for_records_and_is_woken_by_them(broker: Broker, client: Client) -> None:
    first = client.fetch(session_epoch=0, topics=[wanted((0, 5)), wanted((1, 5))])
    client.send(session_id=first.session_id, session_epoch=1, max_wait_ms=60_000)
    fill(broker, "t", 1, 1)
    assert offsets(client.receive()) == {1: [5]}


def test_session_that_is_unknown_or_out_of_step_is_refused(client: Client) -> None:
    assert client.fetch(session_id=12345, session_epoch=7).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    first = client.fetch(session_epoch=0, topics=[wanted((0, 0))])
    again = client.fetch(session_id=first.session_id, session_epoch=5)
    assert (again.error_code, again.session_id) == (ErrorCode.INVALID_FETCH_SESSION_EPOCH, 0)


def test_error_comes_back_in_every_answer_of_the_session(client: Client) -> None:
    first = client.fetch(session_epoch=0, topics=[wanted((0, 999))])
    assert first.responses[0].partitions[0].error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    second = client.fetch(session_id=first.session_id, session_epoch=1)
    assert second.responses[0].partitions[0].error_code == ErrorCode.OFFSET_OUT_OF_RANGE


@pytest.mark.parametrize("limit", [{"max_bytes": 1}, {"partition_limit": 1}])
def test_first_batch_is_whole_however_small_the_limit(client: Client, limit: dict[str, int]) -> None:
    topics = [wanted((0, 2), (1, 0), max_bytes=limit.get("partition_limit", 1 << 20))]
    answer = client.fetch(session_epoch=-1, topics=topics, max_bytes=limit.get("max_bytes", 1 << 20))
    assert offsets(answer) == {0: [2], 1: []}
    assert [p.high_watermark >= 5 for t in answer.responses for p in t.partitions] == [True, True]


def test_bytes_are_shared_in_the_order_of_the_request(client: Client) -> None:
    two_batches = 2200
    answer = client.fetch(session_epoch=-1, topics=[wanted((1, 0), (0, 0))], max_bytes=two_batches)
    assert offsets(answer) == {1: [0, 1], 0: []}


def test_partitions_of_a_session_take_turns(client: Client) -> None:
    """With room for one batch only, the partition that has just been read goes to the end of the line."""
    first = client.fetch(session_epoch=0, topics=[wanted((0, 0), (1, 0))], max_bytes=1)
    assert offsets(first)[0] == [0]
    second = client.fetch(session_id=first.session_id, session_epoch=1, topics=[wanted((0, 1))], max_bytes=1)
    assert offsets(second) == {1: [0]}
    third = client.fetch(session_id=first.session_id, session_epoch=2, topics=[wanted((1, 1))], max_bytes=1)
    assert offsets(third) == {0: [1]}


def test_reader_of_another_log_is_told_where_it_diverges(client: Client) -> None:
    """KIP-595: epoch 0 is all there is here; one who read up to 100 in it has records that this log never had."""
    topics = [wanted((0, 3), last_fetched_epoch=0), wanted((1, 4), last_fetched_epoch=-1)]
    answer = client.fetch(session_epoch=-1, topics=topics)
    assert offsets(answer)[0][0] == 3
    unknown = client.fetch(session_epoch=-1, topics=[wanted((0, 3), last_fetched_epoch=9)])
    assert unknown.responses[0].partitions[0].error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_replica_that_is_none_of_this_partition_is_refused(client: Client) -> None:
    answer = client.fetch(session_epoch=-1, replica_id=77, topics=[wanted((0, 0))])
    assert answer.responses[0].partitions[0].error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
