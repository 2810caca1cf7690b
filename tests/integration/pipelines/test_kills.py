"""Workers that are killed with signal 9 while they work, over sockets of a Kafka cluster: see `tests/killed_workers.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from killed_workers import PARTITIONS, check_totals


class Cluster:
    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap})
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "checker",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            }
        )
        self._is_assigned = False

    def produce(self, topic: str, values: Sequence[bytes]) -> None:
        for value in values:
            self._producer.produce(topic, value)
        assert self._producer.flush(30) == 0

    def read(self, topic: str) -> list[bytes]:
        if not self._is_assigned:
            if topic not in self._consumer.list_topics(timeout=10).topics:
                return []
            self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
            self._is_assigned = True
        return [message.value() for message in self._consumer.consume(500, 0.1) if message.error() is None]

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def cluster(bootstrap: str) -> Iterator[Cluster]:
    cluster = Cluster(bootstrap)
    yield cluster
    cluster.close()


class Parts:
    """Orders go to the cluster; results are lines of files that appear in a folder."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.produce = cluster.produce
        self._folder = folder
        self._known: set[Path] = set()

    def read(self, topic: str) -> list[bytes]:
        new = sorted(set(self._folder.glob("part-*")) - self._known)
        self._known.update(new)
        return [line for part in new for line in part.read_bytes().splitlines()]


@pytest.fixture
def options(tmp_path: Path, bootstrap: str) -> list[str]:
    (tmp_path / "client.properties").write_text("session.timeout.ms=6000\nheartbeat.interval.ms=300\n")
    return ["--broker", f"kafka://{bootstrap}", "--broker-config", "client.properties"]


@pytest.mark.parametrize("exactly_once", [False, True], ids=["at-least-once", "exactly-once"])
def test_totals_are_right_after_workers_were_killed(
    tmp_path: Path,
    cluster: Cluster,
    options: list[str],
    new_topic: Callable[[int], str],
    fresh_name: Callable[[], str],
    exactly_once: bool,
) -> None:
    check_totals(
        tmp_path, cluster, name=fresh_name(), topic=new_topic(PARTITIONS), options=options, exactly_once=exactly_once
    )


def test_files_that_take_part_in_checkpoints_have_each_total_once(
    tmp_path: Path,
    cluster: Cluster,
    options: list[str],
    new_topic: Callable[[int], str],
    fresh_name: Callable[[], str],
) -> None:
    check_totals(
        tmp_path,
        Parts(cluster, tmp_path / "totals"),
        name=fresh_name(),
        topic=new_topic(PARTITIONS),
        options=options,
        exactly_once=True,
        sink="connector='files', path='totals', parts=True",
    )
