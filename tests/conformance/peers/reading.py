"""Reading a topic to its end, with the isolation level that is to be judged."""

from confluent_kafka import Consumer, TopicPartition


def read_all(bootstrap: str, topic: str, partitions: int, isolation: str) -> list[tuple[str, str]]:
    """Everything a reader of that isolation level sees up to the end of now."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "not used",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": isolation,
    }
    consumer = Consumer(settings)
    try:
        consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        found, ended = [], set()
        while len(ended) < partitions:
            message = consumer.poll(30)
            assert message is not None, f"{topic} did not end in time, {len(found)} records so far"
            if message.error():
                ended.add(message.partition())
            else:
                found.append((message.key().decode(), message.value().decode()))
        return found
    finally:
        consumer.close()
