"""Disks that are full, gone, somebody else's or damaged, under a real broker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem.model.batch import iterate

MakeBroker = Callable[..., Any]
DISK_BYTES = 4 * 1024 * 1024
TIMEOUT_S = 20


def send(bootstrap: str, topic: str, values: list[bytes], partition: int = 0, **settings: object) -> list[bytes]:
    """Returns the values that were acknowledged."""
    acknowledged: list[bytes] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            acknowledged.append(message.value())

    producer = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": 8_000, **settings})
    for value in values:
        producer.produce(topic, value, partition=partition, on_delivery=delivered)
    producer.flush(TIMEOUT_S)
    return acknowledged


def values_in(bootstrap: str, topic: str, partition: int = 0) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)
        consumer.assign([TopicPartition(topic, partition, low)])
        found: list[bytes] = []
        while len(found) < high - low:
            for message in consumer.consume(min(500, high - low - len(found)), 10):
                assert message.error() is None
                found.append(message.value())
        return found
    finally:
        consumer.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk_refuses_appends_and_keeps_what_it_has(broker_process: MakeBroker, small_disk: Path) -> None:
    """Nothing acknowledged is lost, reads go on, and appends too once there is room."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * 1024 * 1024))
    broker = broker_process()
    broker.data = small_disk / "data"
    broker.start()
    values = [b"%06d" % n + bytes(20_000) for n in range(150)]
    first = send(broker.bootstrap_servers, "orders", values, **{"linger.ms": 0, "batch.num.messages": 1})
    assert 20 < len(first) < len(values)
    assert "storage.append_refused" in broker.log
    assert "No space left on device" in broker.log
    assert values_in(broker.bootstrap_servers, "orders")[: len(first)] == first
    ballast.unlink()
    second = send(broker.bootstrap_servers, "orders", [b"after"])
    assert second == [b"after"]
    broker.kill()
    broker.start()
    found = values_in(broker.bootstrap_servers, "orders")
    assert [value for value in found if value in first] == first
    assert found[-1] == b"after"
    assert "storage.log_directory_offline" not in broker.log


@pytest.fixture
def two_dirs(broker_process: MakeBroker, tmp_path: Path) -> Any:
    """A broker with two log directories and a topic of four partitions, two in each; stopped cleanly."""
    broker = broker_process()
    broker.data = f"{tmp_path}/one,{tmp_path}/two"
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic("orders", 4, 1)])["orders"].result(TIMEOUT_S)
    for partition in range(4):
        assert send(broker.bootstrap_servers, "orders", [b"%d" % partition], partition)
    assert broker.stop() == 0
    return broker


def partitions_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("orders-*"))


def test_a_directory_that_is_gone_takes_only_its_partitions_along(two_dirs: Any, tmp_path: Path) -> None:
    assert [len(partitions_in(tmp_path / name)) for name in ("one", "two")] == [2, 2]
    (tmp_path / "two").rename(tmp_path / "elsewhere")
    (tmp_path / "two").write_text("not a directory")
    two_dirs.start()
    assert "storage.log_directory_unusable" in two_dirs.log
    for partition in range(4):
        is_here = f"orders-{partition}" in partitions_in(tmp_path / "one")
        bootstrap = two_dirs.bootstrap_servers
        acknowledged = send(bootstrap, "orders", [b"more"], partition, **{"message.timeout.ms": 1_500})
        assert acknowledged == ([b"more"] if is_here else [])
    admin = AdminClient({"bootstrap.servers": two_dirs.bootstrap_servers})
    admin.create_topics([NewTopic("new", 1, 1)])["new"].result(TIMEOUT_S)
    assert send(two_dirs.bootstrap_servers, "new", [b"fine"]) == [b"fine"]
    assert two_dirs.stop() == 0
    (tmp_path / "two").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "two")
    two_dirs.start()
    for partition in range(4):
        assert values_in(two_dirs.bootstrap_servers, "orders", partition)[0] == b"%d" % partition


def test_without_its_first_directory_nothing_starts(two_dirs: Any, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "one").write_text("not a directory")
    assert "the first of log.dirs holds the metadata" in start_to_the_end(two_dirs)


def start_to_the_end(broker: Any, *overrides: str) -> str:
    """What a broker says that does not start."""
    command = [sys.executable, "-m", "mainstem.cli.main", "broker"]
    for override in (f"log.dirs={broker.data}", "listeners=PLAINTEXT://127.0.0.1:0", *overrides):
        command += ["--override", override]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode != 0
    return done.stderr


def test_directories_of_another_node_or_cluster_are_refused(two_dirs: Any, tmp_path: Path) -> None:
    said = start_to_the_end(two_dirs, "node.id=7")
    assert f"{tmp_path}/one" in said
    assert "meta.properties says node.id=1, this broker was started with node.id=7" in said
    properties = tmp_path / "two" / "meta.properties"
    lines = properties.read_text()
    assert re.search(r"^directory.id=[\w-]{22}$", lines, re.MULTILINE)
    properties.write_text(re.sub(r"cluster.id=.*", "cluster.id=MkU3OEVBNTcwNTJENDM2Qg", lines))
    said = start_to_the_end(two_dirs)
    assert f"{tmp_path}/two" in said
    assert "cluster.id=MkU3OEVBNTcwNTJENDM2Qg" in said
    properties.write_text(lines)
    two_dirs.start()
    assert "recovered_after_unclean_stop" not in two_dirs.log


def test_leftovers_and_strays_stay_and_are_named(two_dirs: Any, tmp_path: Path) -> None:
    (tmp_path / "two" / "stranger-0").mkdir()
    (tmp_path / "two" / "stranger-0" / "00000000000000000000.log").write_bytes(b"something")
    (tmp_path / "two" / "notes.txt").write_text("mine")
    two_dirs.start()
    assert two_dirs.stop() == 0
    assert (tmp_path / "two" / "stranger-0" / "00000000000000000000.log").read_bytes() == b"something"
    assert (tmp_path / "two" / "notes.txt").read_text() == "mine"
    assert re.search(r"storage.stray_partitions.*stranger-0", two_dirs.log)


@pytest.mark.parametrize("damaged", ["log", "index", "timeindex", "snapshot", "leader-epoch-checkpoint", "checkpoint"])
def test_flipped_bytes_lose_nothing_before_them(broker_process: MakeBroker, tmp_path: Path, damaged: str) -> None:
    """After a crash: what lies before the damage is served, what lies behind it is not, and the log says so."""
    broker = broker_process("log.index.interval.bytes=1000")
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic("orders", 1, 1, config={"segment.bytes": "1048576"})])["orders"].result(TIMEOUT_S)
    values = [b"%06d" % n + bytes(3_000) for n in range(600)]
    settings = {"enable.idempotence": True, "linger.ms": 0, "batch.num.messages": 1}
    assert send(broker.bootstrap_servers, "orders", values, **settings) == values
    assert broker.stop() == 0
    folder = tmp_path / "data" / "orders-0"
    (tmp_path / "data" / ".kafka_cleanshutdown").unlink()
    logs = sorted(folder.glob("*.log"))
    assert len(logs) == 2
    whole = values
    if damaged == "log":
        batches = [position for position, _ in iterate(logs[-1].read_bytes())]
        flip(logs[-1], batches[len(batches) // 2] + 500)
        whole = values[:-1]
    elif damaged == "checkpoint":
        flip(tmp_path / "data" / "recovery-point-offset-checkpoint", 0)
    else:
        for path in [folder / damaged] if "-" in damaged else sorted(folder.glob(f"*.{damaged}")):
            flip(path, path.stat().st_size // 2)
    broker.start()
    found = values_in(broker.bootstrap_servers, "orders")
    assert found == values[: len(found)]
    assert len(found) >= 300
    assert (len(found) == len(values)) == (whole is values)
    said = {"log": "storage.log_cut", "checkpoint": "storage.checkpoint_damaged"}.get(damaged)
    assert said is None or said in broker.log
    if damaged == "log":
        assert "does not match its CRC" in broker.log
        assert "had been flushed" in broker.log
    assert send(broker.bootstrap_servers, "orders", [b"more"], **settings) == [b"more"]
    assert values_in(broker.bootstrap_servers, "orders") == [*found, b"more"]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x55
    path.write_bytes(content)
