"""kafka-delete-records.sh of Apache Kafka 4.1."""

import json

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec

pytestmark = pytest.mark.conformance


def test_low_watermarks_are_told_and_moved(tools, admin, bootstrap, new_topic, tmp_path):
    topic = new_topic(2)
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(10):
        producer.produce(topic, f"{n}", partition=n % 2)
    assert producer.flush(60) == 0
    wanted = {"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 3}]}
    wanted["partitions"].append({"topic": topic, "partition": 1, "offset": -1})
    (tmp_path / "offsets.json").write_text(json.dumps(wanted))

    lines = tools.run("kafka-delete-records", "--offset-json-file", str(tmp_path / "offsets.json")).succeeded().lines()

    told = sorted(line for line in lines if line.startswith("partition:"))
    assert told == [f"partition: {topic}-0\tlow_watermark: 3", f"partition: {topic}-1\tlow_watermark: 5"]
    earliest = admin.list_offsets({TopicPartition(topic, p): OffsetSpec.earliest() for p in range(2)})
    assert [earliest[TopicPartition(topic, p)].result(60).offset for p in range(2)] == [3, 5]
