"""A log directory that Apache Kafka 4.1 wrote, under our broker: served as it is, and gone on with."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from mainstem.api.files import OsFiles
from mainstem.model.cluster import PartitionRegistration, ProducerIdsReserved, TopicCreated
from mainstem.model.ids import topic_id_from_text
from mainstem_plugins.coordinator_embedded.entries import Decided, Founded
from mainstem_plugins.coordinator_embedded.journal import Journal
from mainstem_plugins.storage_segments.checkpoints import decode_properties

GOLDEN = Path(__file__).parents[2] / "data" / "kafka-4.1-log"
TOPICS = ("golden", "golden-compacted", "golden-logappend")


def adopt(data: Path) -> None:
    """The metadata of a cluster that has these topics: Kafka keeps them in a log of its own, which is not read."""
    shutil.copytree(GOLDEN, data, ignore=shutil.ignore_patterns("expected", "__consumer_offsets-*"))
    cluster_id = decode_properties((data / "meta.properties").read_bytes())["cluster.id"]
    topics = []
    for name in TOPICS:
        metadata = (data / f"{name}-0" / "partition.metadata").read_text()
        found = re.search(r"topic_id: (\S+)", metadata)
        assert found is not None
        partition = PartitionRegistration(
            partition=0, leader=1, leader_epoch=0, replicas=(1,), isr=(1,), partition_epoch=0
        )
        topics.append(
            TopicCreated(name=name, topic_id=topic_id_from_text(found[1]), partitions=(partition,), configs={})
        )
    # Producers of the old cluster have their ids in the log.
    ids = ProducerIdsReserved(broker_id=1, first=0, count=1000)
    journal = Journal(data, OsFiles())
    journal.open()
    journal.append([Founded(cluster_id=cluster_id), Decided(changes=topics), Decided(changes=[ids])])
    journal.close()


def payloads(bootstrap: str, topic: str, *, isolation: str) -> list[str | None]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "g",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[str | None] = []
    try:
        while True:
            for message in consumer.consume(500, 0.3):
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return found
                assert error is None, error
                value = message.value()
                found.append(None if value is None else value.decode())
    finally:
        consumer.close()


def expected_payloads(topic: str) -> list[str | None]:
    found: list[str | None] = []
    for line in (GOLDEN / "expected" / f"{topic}-0.txt").read_text().splitlines():
        if line.startswith("| offset") and "endTxnMarker" not in line:
            match = re.search(r" payload: (.*)$", line)
            found.append(match[1] if match else None)
    return found


def test_topics_of_a_kafka_folder_are_served(broker_process: Callable[..., Any], tmp_path: Path) -> None:
    adopt(tmp_path / "data")
    broker = broker_process()
    broker.start()
    for topic in TOPICS:
        assert payloads(broker.bootstrap_servers, topic, isolation="read_uncommitted") == expected_payloads(topic)
    committed = payloads(broker.bootstrap_servers, "golden", isolation="read_committed")
    assert committed == [p for p in expected_payloads("golden") if p is None or not p.startswith("tx abort")]
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True})
    producer.produce("golden", b"ours")
    assert producer.flush(20) == 0
    for end in (broker.stop, broker.kill):
        end()
        broker.start()
        found = payloads(broker.bootstrap_servers, "golden", isolation="read_uncommitted")
        assert found == [*expected_payloads("golden"), "ours"]
    assert "storage.log_cut" not in broker.log
