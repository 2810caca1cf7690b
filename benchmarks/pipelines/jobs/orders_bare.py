"""The job as a loop over confluent-kafka: what everybody else is measured against. No state that survives, no rebalance."""

import sys
from collections import defaultdict

import orjson
from confluent_kafka import Consumer, Producer

bootstrap, source, sink, group = sys.argv[1:5]
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
producer = Producer(
    {
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "queue.buffering.max.messages": 500_000,
    }
)
totals: dict[str, int] = defaultdict(int)
consumer.subscribe([source])
while True:
    for message in consumer.consume(1_000, 0.01):
        order = orjson.loads(message.value())
        if order["paid"]:
            customer = order["customer"]
            totals[customer] += order["amount"]
            total = {"customer": customer, "total": totals[customer], "at": order["at"]}
            producer.produce(sink, orjson.dumps(total), message.key())
    producer.poll(0)
