"""What hostile or broken clients send: each is refused, told where the protocol has words for it, and nobody else notices."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem import Broker
from mainstem.model import records
from mainstem.model.errors import ConfigError, ErrorCode, PluginError, StorageError
from mainstem.wire import codec
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import api_versions, produce
from mainstem.wire.messages.metadata import REQUEST as METADATA_REQUEST
from mainstem.wire.messages.metadata import MetadataRequest
from mainstem.wire.schema import Message, Schema


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def raw(broker: Broker) -> Iterator[socket.socket]:
    host, port = broker.bootstrap_servers.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


@pytest.fixture(autouse=True)
def others_are_served(broker: Broker) -> Iterator[None]:
    """After every test another client's connection, opened before it, still works."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.list_topics(timeout=20)
    yield
    failed: list[KafkaError] = []
    producer.produce("alive", b"still here", on_delivery=lambda error, _: failed.append(error) if error else None)
    assert producer.flush(20) == 0
    assert failed == []


def frame(api: int, version: int, body: bytes = b"", flexible: bool = False) -> bytes:
    head = struct.pack(">hhih", api, version, 7, 4) + b"test" + (b"\0" if flexible else b"")
    return struct.pack(">i", len(head) + len(body)) + head + body


def read_frame(connection: socket.socket) -> bytes:
    """The next reply, or b"" when the broker has hung up."""
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            return b""
        if not more:
            return b""
        data += more
    return data[4:]


def ask(connection: socket.socket, schema: Schema, version: int, message: Message, answer: Schema) -> Message:
    flexible = version >= schema.flexible_from
    connection.sendall(frame(schema.api_key, version, codec.encode(schema, version, message), flexible))
    reply = read_frame(connection)
    skip = 5 if version >= answer.flexible_from and schema.api_key != ApiKey.API_VERSIONS else 4
    return codec.decode(answer, version, memoryview(reply)[skip:])


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_end_their_own_connection_only(raw: socket.socket, seed: int) -> None:
    junk = random.Random(seed).randbytes(400)
    raw.sendall(struct.pack(">i", len(junk)) + junk)
    assert read_frame(raw) == b""


@pytest.mark.parametrize("size", [2**31 - 1, -1, -(2**31), 100 * 1024 * 1024 + 1])
def test_absurd_frame_length_ends_the_connection(raw: socket.socket, size: int) -> None:
    raw.sendall(struct.pack(">i", size) + b"x" * 100)
    assert read_frame(raw) == b""


@pytest.mark.parametrize("cut", [1, 3, 5, 12, 17])
def test_half_a_frame_and_a_hang_up_cost_nothing(raw: socket.socket, cut: int) -> None:
    raw.sendall(frame(ApiKey.METADATA, 1, codec.encode(METADATA_REQUEST, 1, MetadataRequest(topics=None)))[:cut])
    raw.close()


def test_truncated_message_ends_the_connection(raw: socket.socket) -> None:
    raw.sendall(frame(ApiKey.METADATA, 1, struct.pack(">ih", 1, 500) + b"short"))
    assert read_frame(raw) == b""


def test_array_that_claims_two_billion_elements_costs_no_memory(raw: socket.socket) -> None:
    raw.sendall(frame(ApiKey.METADATA, 1, struct.pack(">i", 2**31 - 1)))
    assert read_frame(raw) == b""


@pytest.mark.parametrize(("api", "version"), [(999, 0), (-1, 0), (ApiKey.METADATA, 99), (4, 0)])
def test_unknown_api_or_version_ends_the_connection(raw: socket.socket, api: int, version: int) -> None:
    raw.sendall(frame(api, version))
    assert read_frame(raw) == b""


def test_too_new_api_versions_is_answered_in_v0_with_the_range_of_api_versions(raw: socket.socket) -> None:
    raw.sendall(frame(ApiKey.API_VERSIONS, 99, b"\x00\x01\x02"))
    answer = codec.decode(api_versions.RESPONSE, 0, memoryview(read_frame(raw))[4:])
    assert isinstance(answer, api_versions.ApiVersionsResponse)
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(k.api_key, k.min_version, k.max_version) for k in answer.api_keys] == [(ApiKey.API_VERSIONS, 0, 4)]


def test_client_software_name_with_odd_characters_is_an_invalid_request(raw: socket.socket) -> None:
    bad = api_versions.ApiVersionsRequest(client_software_name="-bad-", client_software_version="1")
    answer = ask(raw, api_versions.REQUEST, 3, bad, api_versions.RESPONSE)
    assert isinstance(answer, api_versions.ApiVersionsResponse)
    assert answer.error_code == ErrorCode.INVALID_REQUEST


def one_produce(topic: str, data: bytes | None, *, acks: int = -1, index: int = 0) -> produce.ProduceRequest:
    partition = produce.PartitionProduceData(index=index, records=data)
    return produce.ProduceRequest(
        acks=acks, timeout_ms=1000, topic_data=[produce.TopicProduceData(name=topic, partition_data=[partition])]
    )


def corrupt() -> bytes:
    batch = bytearray(records.encode([None], [b"v"], [1]))
    batch[-1] ^= 1
    return bytes(batch)


@pytest.mark.parametrize(
    ("request_message", "error"),
    [
        (one_produce("alive", corrupt()), ErrorCode.CORRUPT_MESSAGE),
        (one_produce("alive", None), ErrorCode.INVALID_RECORD),
        (one_produce("alive", b"garbage"), ErrorCode.CORRUPT_MESSAGE),
        (one_produce("alive", records.encode([None], [b"v"], [1]), acks=5), ErrorCode.INVALID_REQUIRED_ACKS),
        (one_produce("nowhere", records.encode([None], [b"v"], [1])), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (one_produce("alive", records.encode([None], [b"v"], [1]), index=77), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (one_produce("alive", records.encode([None], [b"x" * 1_100_000], [1])), ErrorCode.MESSAGE_TOO_LARGE),
    ],
    ids=["crc", "null", "garbage", "acks", "unknown-topic", "unknown-partition", "too-large"],
)
@pytest.mark.parametrize("version", [7, 12])
def test_bad_produce_gets_its_error_code_and_the_connection_goes_on(
    raw: socket.socket, request_message: produce.ProduceRequest, error: ErrorCode, version: int
) -> None:
    for message, expected in ((request_message, error), (one_produce("alive", records.encode([None], [b"v"], [1])), 0)):
        answer = ask(raw, produce.REQUEST, version, message, produce.RESPONSE)
        assert isinstance(answer, produce.ProduceResponse)
        assert answer.responses[0].partition_responses[0].error_code == expected


@pytest.mark.parametrize("version", [0, 1, 2])
def test_produce_of_the_old_formats_is_refused_without_a_hang_up(raw: socket.socket, version: int) -> None:
    body = struct.pack(">hii", 1, 1000, 1) + struct.pack(">h", 5) + b"alive" + struct.pack(">iii", 1, 0, 4) + b"old!"
    raw.sendall(frame(ApiKey.PRODUCE, version, body))
    reply = read_frame(raw)
    assert struct.unpack_from(">h", reply, 4 + 4 + 7 + 4 + 4) == (ErrorCode.UNSUPPORTED_VERSION,)


def test_acks_all_needs_min_insync_replicas(broker: Broker, raw: socket.socket) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic("strict", 1, 1, config={"min.insync.replicas": "2"})])["strict"].result(timeout=20)
    data = records.encode([None], [b"v"], [1])
    for acks, expected in ((-1, ErrorCode.NOT_ENOUGH_REPLICAS), (1, ErrorCode.NONE)):
        answer = ask(raw, produce.REQUEST, 7, one_produce("strict", data, acks=acks), produce.RESPONSE)
        assert isinstance(answer, produce.ProduceResponse)
        assert answer.responses[0].partition_responses[0].error_code == expected


def test_failed_produce_without_acknowledgement_ends_the_connection(raw: socket.socket) -> None:
    message = one_produce("nowhere", records.encode([None], [b"v"], [1]), acks=0)
    raw.sendall(frame(ApiKey.PRODUCE, 7, codec.encode(produce.REQUEST, 7, message)))
    assert read_frame(raw) == b""


@pytest.mark.parametrize("name", ["a/b", "..", "x" * 250, "snow ☃"])
def test_reserved_and_illegal_topic_names_are_refused(broker: Broker, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    with pytest.raises(KafkaException) as raised:
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(timeout=20)
    assert raised.value.args[0].code() == KafkaError.TOPIC_EXCEPTION


def test_clients_may_not_write_to_internal_topics(broker: Broker, raw: socket.socket) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.list_topics("__consumer_offsets", timeout=20)
    message = one_produce("__consumer_offsets", records.encode([None], [b"v"], [1]))
    answer = ask(raw, produce.REQUEST, 7, message, produce.RESPONSE)
    assert isinstance(answer, produce.ProduceResponse)
    assert answer.responses[0].partition_responses[0].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize(
    ("config", "kind", "words"),
    [
        ({"num.partitions": "many"}, ConfigError, ("num.partitions", "many")),
        ({"listeners": "localhost:9092"}, ConfigError, ("listeners", "localhost:9092")),
        ({"log.storage": "punchcards"}, PluginError, ("punchcards", "segments")),
        ({"listeners": "SSL://127.0.0.1:0"}, ConfigError, ("SSL", "PLAINTEXT")),
    ],
    ids=["number", "listener", "plugin", "protocol"],
)
def test_bad_configuration_is_named_before_anything_starts(
    config: dict[str, str], kind: type[Exception], words: tuple[str, ...]
) -> None:
    with pytest.raises(kind) as raised:
        Broker(config).start()
    for word in words:
        assert word in str(raised.value)


def test_port_that_is_taken_is_named(broker: Broker) -> None:
    with pytest.raises(ConfigError, match="cannot listen there"):
        Broker({"listeners": f"PLAINTEXT://{broker.bootstrap_servers}"}).start()


def test_two_brokers_never_share_a_log_directory(tmp_path: Path) -> None:
    with Broker(data=tmp_path), pytest.raises(StorageError, match="another broker is using this log directory"):
        Broker(data=tmp_path).start()
    with Broker(data=tmp_path) as again:
        assert again.bootstrap_servers


def test_setting_that_a_plugin_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="open_files_max"):
        Broker({"log.storage.open_file_max": 3}, data=tmp_path).start()
    with Broker({"log.storage.open_files_max": 3}, data=tmp_path) as broker:
        assert broker.bootstrap_servers
