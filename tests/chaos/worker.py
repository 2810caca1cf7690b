"""One application of a run: consume, transform, produce, commit both in one transaction, until killed or in need of a new start."""

from __future__ import annotations

import sys

from confluent_kafka import Consumer, KafkaException, Producer

TIMEOUT_S = 20.0
AT_ONCE = 20


def main(bootstrap: str, source: str, sink: str, group: str, transactional_id: str) -> int:
    quiet = {
        "bootstrap.servers": bootstrap,
        "error_cb": lambda error: None,
        "reconnect.backoff.max.ms": 200,
        # While no broker answers librdkafka 2.16 starts from the bootstrap list again and destroys its brokers. If that
        # comes between AddOffsetsToTxn and TxnOffsetCommit it waits for the destroyed one for ever, past every timeout.
        "metadata.recovery.strategy": "none",
    }
    consumer = Consumer(
        {
            **quiet,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "session.timeout.ms": 1_500,
            "heartbeat.interval.ms": 300,
            "fetch.wait.max.ms": 100,
            "log_level": 0,
        }
    )
    producer = Producer(
        {
            **quiet,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": 6_000,
            "message.timeout.ms": 5_000,
            "linger.ms": 1,
            "log_level": 0,
        }
    )
    try:
        producer.init_transactions(TIMEOUT_S)
        consumer.subscribe([source])
        while True:
            messages = [m for m in consumer.consume(AT_ONCE, 0.2) if m.error() is None]
            if not messages:
                continue
            producer.begin_transaction()
            for message in messages:
                producer.produce(sink, b"seen " + message.value(), partition=message.partition())
            positions = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), TIMEOUT_S)
            producer.commit_transaction(TIMEOUT_S)
    except (KafkaException, BufferError) as error:
        # Where the consumer stands and what the transaction became is not known here: begin anew from what is committed.
        print(f"{transactional_id}: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
