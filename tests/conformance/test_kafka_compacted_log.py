"""kafka-dump-log.sh of Apache Kafka 4.1 reads what our cleaner wrote."""

import re
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from peers.mainstem_node import MainstemNode
from peers.tools import run_tool

pytestmark = pytest.mark.conformance

COMPLAINTS = re.compile(r"Mismatches|Non-consecutive|Found timestamp mismatch|isvalid: false|invalid", re.IGNORECASE)
CONFIG = {"cleanup.policy": "compact", "internal.segment.bytes": "20000", "min.cleanable.dirty.ratio": "0.01"}
KEYS, UPDATES, TIMEOUT_S = 40, 6_000, 60


def dump(files: list[Path], *arguments: str) -> str:
    printed = run_tool("kafka-dump-log", ["--files", ",".join(map(str, files)), *arguments]).succeeded().output
    assert COMPLAINTS.findall(printed) == [], printed[-4_000:]
    return printed


def logs_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


def test_compacted_segments_are_valid_and_hold_the_last_values():
    with MainstemNode(overrides={"log.cleaner.backoff.ms": "50", "log.segment.delete.delay.ms": "100"}) as node:
        admin = AdminClient({"bootstrap.servers": node.bootstrap})
        admin.create_topics([NewTopic("latest", 1, 1, config=CONFIG)])["latest"].result(TIMEOUT_S)
        for codec in ("none", "lz4", "zstd"):
            settings = {"enable.idempotence": True, "compression.type": codec, "linger.ms": 5, "batch.num.messages": 50}
            producer = Producer({"bootstrap.servers": node.bootstrap, **settings})
            for n in range(UPDATES):
                value = None if n % KEYS == 7 else f"{codec}-{n}"
                producer.produce("latest", value, key=f"key-{n % KEYS}", headers={"codec": codec})
                producer.poll(0)
            assert producer.flush(TIMEOUT_S) == 0
        folder = node.log_dir / "latest-0"
        until = time.monotonic() + TIMEOUT_S
        while (node.log_dir / "cleaner-offset-checkpoint").read_text().split()[
            -1
        ] != f"{int(logs_of(folder)[-1].stem)}":
            assert time.monotonic() < until, logs_of(folder)
            time.sleep(0.2)
        node.end()
        logs = logs_of(folder)

        printed = dump(logs, "--print-data-log", "--deep-iteration")
        dump(sorted(folder.glob("*.index")))
        dump(sorted(folder.glob("*.timeindex")))

    rows = re.findall(r"^\| offset: (\d+) .* key: (\S+)(?: payload: (\S+))?$", printed, re.MULTILINE)
    active = int(logs[-1].stem)
    assert len([offset for offset, _, _ in rows if int(offset) < active]) <= 2 * KEYS
    last = {key: payload for _, key, payload in sorted(rows, key=lambda row: int(row[0]))}
    expected = {f"key-{n % KEYS}": f"zstd-{n}" for n in range(UPDATES - KEYS, UPDATES)}
    assert {**last, "key-7": ""} == {**expected, "key-7": ""}
    assert "deleteHorizonMs: OptionalLong[" in printed
