"""Clients of Java, Go (franz-go, sarama) and Node (KafkaJS): a round trip through a group of two members each."""

import json
from collections.abc import Callable

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from peers.class_path import require_program
from peers.java_programs import java_command
from peers.programs import BUILD_TIMEOUT_S, run

pytestmark = pytest.mark.conformance

RUN_TIMEOUT_S = 90
PARTITIONS = 4
RECORDS = 200


@pytest.fixture
def round_trip(bootstrap: str, admin, new_topic: Callable[..., str], fresh_name: Callable[[], str]) -> Callable:
    """Runs a program of the kind `<command> <bootstrap> <topic> <partitions> <group> <codec> <records>`.

    Every record must come once, in order within its partition, to one of two members, and be committed.
    """

    def judge(command: list[str], codec: str, *more: str) -> None:
        topic, group = new_topic(PARTITIONS), fresh_name()
        arguments = [bootstrap, topic, f"{PARTITIONS}", group, codec, f"{RECORDS}", *more]
        received = json.loads(run([*command, *arguments], timeout_s=RUN_TIMEOUT_S))

        shown = sorted((each["key"], each["value"], each["header"], each["timestamp_ms"]) for each in received)
        numbers = range(RECORDS)
        assert shown == sorted((f"key {n}", f"value {n}", codec, 1_700_000_000_000 + n) for n in numbers)
        assert {each["member"] for each in received} == {0, 1}
        ends = {}
        for partition in sorted({each["partition"] for each in received}):
            offsets = [each["offset"] for each in received if each["partition"] == partition]
            assert offsets == list(range(len(offsets)))
            ends[partition] = len(offsets)
        listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(60)
        committed = {each.partition: each.offset for each in listed.topic_partitions if each.offset > 0}
        assert committed == ends

    return judge


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("program", ["franz", "sarama"])
@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_a_go_client_makes_a_round_trip(go_programs, round_trip, program, codec):
    round_trip([str(go_programs / program)], codec)


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_franz_go_makes_a_round_trip_in_a_consumer_group(go_programs, round_trip):
    round_trip([str(go_programs / "franz")], "none", "consumer")


@pytest.mark.parametrize("codec", ["none", "gzip"])
@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_kafkajs_makes_a_round_trip(node_programs, round_trip, codec):
    round_trip([require_program("node", "Node"), str(node_programs / "kafkajs.js")], codec)


@pytest.mark.parametrize(("codec", "protocol"), [("none", "classic"), ("zstd", "consumer")])
@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_kafkas_own_client_makes_a_round_trip(round_trip, codec, protocol):
    round_trip(java_command("GroupRoundTrip", []), codec, protocol)
