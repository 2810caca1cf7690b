"""Reading a partition to its end, with the isolation level that is to be judged."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, TopicPartition

TIMEOUT_S = 60.0


def read_values(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[str]:
    """Partition 0, up to the last stable offset of now, or the high watermark."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "not used",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "isolation.level": isolation,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[str] = []
    try:
        while True:
            message = consumer.poll(TIMEOUT_S)
            assert message is not None, "the topic did not end in time"
            if message.error() is None:
                values.append(message.value().decode())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                return values
    finally:
        consumer.close()
