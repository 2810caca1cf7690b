"""kafka-dump-log.sh of Apache Kafka 4.1 reads the files a broker leaves behind, with its own eyes."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from peers.tools import run_tool

pytestmark = pytest.mark.conformance

TIMEOUT_S = 60
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
RECORDS_PER_CODEC = 40
COMPLAINTS = re.compile(r"Mismatches|Non-consecutive|Found timestamp mismatch|isvalid: false|invalid", re.IGNORECASE)


@dataclass(frozen=True)
class Left:
    """What was written, and the folder in which the broker, which has ended, left it."""

    log_dir: Path
    topic: str
    group: str


@pytest.fixture(scope="module")
def left(new_node) -> Iterator[Left]:
    """Forty records of a kilobyte in each codec, with keys and headers, and a group's commit of them."""
    with new_node() as node:
        topic, group = "written", "reader"
        for index, codec in enumerate(CODECS):
            settings = {"compression.type": codec, "linger.ms": 100, "enable.idempotence": True}
            producer = Producer({"bootstrap.servers": node.bootstrap, **settings})
            for n in range(index * RECORDS_PER_CODEC, (index + 1) * RECORDS_PER_CODEC):
                value = f"{n}:" + "x" * 1_000
                producer.produce(topic, value, key=f"key {n}", headers={"codec": codec}, partition=0)
            assert producer.flush(TIMEOUT_S) == 0, "messages were left undelivered"
        consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": group})
        consumer.commit(offsets=[TopicPartition(topic, 0, 123, metadata="a note")], asynchronous=False)
        consumer.close()
        node.end()
        yield Left(node.log_dir, topic, group)


def dump(files: list[Path], *arguments: str) -> str:
    assert files, "the broker left no such files"
    printed = run_tool("kafka-dump-log", ["--files", ",".join(map(str, files)), *arguments]).succeeded().output
    assert COMPLAINTS.findall(printed) == [], printed[-4_000:]
    return printed


def test_every_record_is_in_the_log_as_it_was_sent(left):
    printed = dump(sorted((left.log_dir / f"{left.topic}-0").glob("*.log")), "--print-data-log")

    records = re.findall(
        r"^\| offset: (\d+) .* headerKeys: \[(.*?)\] key: (.*?) payload: (\d+):x{1000}$",
        printed,
        re.MULTILINE,
    )
    total = RECORDS_PER_CODEC * len(CODECS)
    assert records == [(f"{n}", "codec", f"key {n}", f"{n}") for n in range(total)]


def test_every_batch_is_valid_and_has_the_codec_of_its_producer(left):
    printed = dump(sorted((left.log_dir / f"{left.topic}-0").glob("*.log")), "--deep-iteration")

    batches = re.findall(
        r"^baseOffset: (\d+) lastOffset: (\d+) .* producerId: (\d+) producerEpoch: 0 partitionLeaderEpoch: 0 "
        r".* compresscodec: (\w+) crc: \d+ isvalid: true$",
        printed,
        re.MULTILINE,
    )
    codecs = [codec for first, last, _, codec in batches for _ in range(int(first), int(last) + 1)]
    assert codecs == [codec for codec in CODECS for _ in range(RECORDS_PER_CODEC)]
    assert len({producer_id for _, _, producer_id, _ in batches}) == len(CODECS)


def test_the_offset_index_points_at_batches_of_the_log(left):
    printed = dump(sorted((left.log_dir / f"{left.topic}-0").glob("*.index")))

    entries = [(int(offset), int(at)) for offset, at in re.findall(r"^offset: (\d+) position: (\d+)", printed, re.M)]
    assert entries, "an index without entries beside a log of forty kilobytes"
    assert entries == sorted(set(entries))


def test_the_time_index_points_at_records_of_the_log(left):
    printed = dump(sorted((left.log_dir / f"{left.topic}-0").glob("*.timeindex")))

    entries = re.findall(r"^timestamp: (\d+) offset: (\d+)", printed, re.MULTILINE)
    assert entries, "a time index without entries"
    assert entries == sorted(entries, key=lambda entry: int(entry[0]))


def test_producer_snapshots_name_every_producer(left):
    snapshots = sorted((left.log_dir / f"{left.topic}-0").glob("*.snapshot"))

    printed = dump(snapshots[-1:])

    producers = re.findall(r"^producerId: (\d+) producerEpoch: 0 .*lastSequence: (\d+)", printed, re.MULTILINE)
    assert [last for _, last in producers] == [f"{RECORDS_PER_CODEC - 1}"] * len(CODECS)


def test_the_committed_offset_is_in_the_offsets_topic(left):
    logs = [path for path in sorted(left.log_dir.glob("__consumer_offsets-*/*.log")) if path.stat().st_size > 0]

    printed = dump(logs, "--offsets-decoder")

    commits = [
        (json.loads(key)["data"], json.loads(payload)["data"])
        for key, payload in re.findall(r' key: (\{"type":"1".*?\}\}) payload: (\{.*\})$', printed, re.MULTILINE)
    ]
    ((key, value),) = commits
    assert key == {"group": left.group, "topic": left.topic, "partition": 0}
    # confluent-kafka sends the terminating zero of its C string as a part of the metadata.
    assert (value["offset"], value["metadata"].rstrip("\0")) == (123, "a note")


def test_indexes_pass_the_checks_that_a_kafka_broker_makes(left):
    folder = left.log_dir / f"{left.topic}-0"
    files = [*sorted(folder.glob("*.index")), *sorted(folder.glob("*.timeindex"))]

    assert len(re.findall("passed sanity check", dump(files, "--index-sanity-check"))) == len(files)
    assert "position" not in dump(files, "--verify-index-only")


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [
        ("*.log", ["--print-data-log"]),
        ("*.log", ["--deep-iteration", "--skip-record-metadata"]),
        ("*.index", []),
        ("*.timeindex", []),
        ("*.index", ["--index-sanity-check"]),
        ("*.snapshot", []),
    ],
)
def test_our_dump_log_prints_what_kafkas_prints(left, capsys, pattern, flags):
    from mainstem.cli.main import main

    files = sorted((left.log_dir / f"{left.topic}-0").glob(pattern))
    arguments = ["--files", ",".join(map(str, files)), *flags]

    theirs = run_tool("kafka-dump-log", arguments).succeeded().output
    assert main(["dump-log", *arguments]) == 0

    assert capsys.readouterr().out.splitlines() == theirs.splitlines()


def test_our_dump_log_decodes_offsets_as_kafkas_does(left, capsys):
    from mainstem.cli.main import main

    logs = [path for path in sorted(left.log_dir.glob("__consumer_offsets-*/*.log")) if path.stat().st_size > 0]
    arguments = ["--files", ",".join(map(str, logs)), "--offsets-decoder"]

    theirs = run_tool("kafka-dump-log", arguments).succeeded().output
    assert main(["dump-log", *arguments]) == 0

    assert capsys.readouterr().out.splitlines() == theirs.splitlines()
