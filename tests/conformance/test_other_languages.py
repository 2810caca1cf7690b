"""Clients of Java, Go (franz-go, sarama) and Node (KafkaJS): a round trip through a group of two members each."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from peers.class_path import require_program
from peers.java_programs import java_command

pytestmark = pytest.mark.conformance

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "conformance"
BUILD_TIMEOUT_S = 600
RUN_TIMEOUT_S = 90
PARTITIONS = 4
RECORDS = 200


def run(command: list[str], folder: Path, timeout_s: float) -> str:
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert finished.returncode == 0, f"{' '.join(command)}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


@pytest.fixture(scope="session")
def go_programs() -> Path:
    """The folder of the built Go programs."""
    go = require_program("go", "Go, version 1.26 or newer")
    built = CACHE / "go"
    built.mkdir(parents=True, exist_ok=True)
    run([go, "build", "-o", f"{built}/", "./..."], HERE / "go", BUILD_TIMEOUT_S)
    return built


@pytest.fixture(scope="session")
def node_programs() -> Path:
    """A folder outside the sources with the Node programs and the packages they need beside them."""
    npm = require_program("npm", "Node with npm, version 20 or newer")
    package = (HERE / "node" / "package.json").read_bytes()
    installed = CACHE / f"node-{hashlib.sha256(package).hexdigest()[:12]}"
    installed.mkdir(parents=True, exist_ok=True)
    for source in (HERE / "node").iterdir():
        shutil.copy(source, installed)
    if not (installed / "node_modules").exists():
        run([npm, "install", "--no-package-lock", "--no-audit", "--no-fund"], installed, BUILD_TIMEOUT_S)
    return installed


@pytest.fixture
def round_trip(bootstrap: str, admin, new_topic: Callable[..., str], fresh_name: Callable[[], str]) -> Callable:
    """Runs a program of the kind `<command> <bootstrap> <topic> <partitions> <group> <codec> <records>`.

    Every record must come once, in order within its partition, to one of two members, and be committed.
    """

    def judge(command: list[str], codec: str, *more: str) -> None:
        topic, group = new_topic(PARTITIONS), fresh_name()
        arguments = [bootstrap, topic, f"{PARTITIONS}", group, codec, f"{RECORDS}", *more]
        received = json.loads(run([*command, *arguments], HERE, RUN_TIMEOUT_S))

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


@pytest.mark.parametrize("codec", ["none", "gzip"])
@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_kafkajs_makes_a_round_trip(node_programs, round_trip, codec):
    round_trip([require_program("node", "Node"), str(node_programs / "kafkajs.js")], codec)


@pytest.mark.parametrize(("codec", "protocol"), [("none", "classic"), ("zstd", "consumer")])
@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_kafkas_own_client_makes_a_round_trip(round_trip, codec, protocol):
    round_trip(java_command("GroupRoundTrip", []), codec, protocol)
