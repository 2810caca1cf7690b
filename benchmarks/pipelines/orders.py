"""The orders that every system gets, and how it is known that all totals are in the topic and right."""

from __future__ import annotations

import time
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import orjson
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition

PARTITIONS = 4
CUSTOMERS = 1_000
WARM_UP = 20_000
ORDERS = 200_000
WINDOW_MS = 10_000
NOTE = "leave it at the door, please, and ring twice"
CHECK_S = 0.01
STILL_S = 1.5
READ_TIMEOUT_S = 30.0
NOTED_BY_THE_BROKER = {"message.timestamp.type": "LogAppendTime"}
NOT_KNOWN_YET = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
}
"""What brokers and clients say of a topic that has just been created."""


def orders(count: int, customers: int = CUSTOMERS, first: int = 0) -> Iterator[tuple[bytes, bytes, int]]:
    """Key, value and partition of the orders from number `first` to `count`. Every other order of a customer is paid, so half
    of them pass the filter."""
    for number in range(first, count):
        customer = number % customers
        name = f"customer-{customer}"
        order = {
            "id": number,
            "customer": name,
            "amount": number * 7 % 100,
            "paid": (number // customers) % 2 == 0,
            "at": 0.0,
            "note": NOTE,
        }
        yield name.encode(), orjson.dumps(order), customer % PARTITIONS


class Expected(NamedTuple):
    """`warm`: results of the warm-up alone. `count`: of everything, and the last one of each customer, which is in `field`.
    `events`: how many orders went by between the two."""

    warm: int
    count: int
    events: int
    field: str
    last: dict[str, float]


def expected_totals() -> Expected:
    """Every paid order gives a total."""
    last: dict[str, float] = defaultdict(int)
    records = 0
    for order in _paid():
        last[order["customer"]] += order["amount"]
        records += 1
    return Expected(WARM_UP // 2, records, ORDERS, "total", last)


def expected_means() -> Expected:
    """Every customer has one mean per window, in which order `id` comes at `id` ms. The last window is not closed by
    anything."""
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for order in _paid():
        found[order["id"] // WINDOW_MS][order["customer"]].append(order["amount"])
    closed = sorted(found)[:-1]
    last = {customer: sum(amounts) / len(amounts) for customer, amounts in found[closed[-1]].items()}
    warm = sum(len(found[number]) for number in range(WARM_UP // WINDOW_MS - 1))
    return Expected(warm, sum(len(found[number]) for number in closed), ORDERS - WINDOW_MS, "mean", last)


def _paid() -> Iterator[dict[str, Any]]:
    decoded = (orjson.loads(value) for _, value, _ in orders(WARM_UP + ORDERS))
    return (order for order in decoded if order["paid"])


def load(bootstrap: str, topic: str, count: int, first: int = 0, customers: int = CUSTOMERS) -> None:
    """The orders from number `first` to `count`."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000, "log_level": 0}
    )
    for key, value, partition in orders(count, customers, first):
        producer.produce(topic, value, key, partition)
    assert producer.flush(120) == 0, "the orders could not be written"


def load_changelog(bootstrap: str, topic: str, keys: int) -> None:
    """What a Faust table of totals would have written: one record for each key, both as JSON."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 2_000_000, "log_level": 0}
    )
    for number in range(keys):
        producer.produce(topic, b"%d" % (number * 7 % 100), b'"customer-%d"' % number, number % PARTITIONS)
    assert producer.flush(120) == 0, "the changelog could not be written"


class Totals(NamedTuple):
    """What a topic of totals holds: when the broker appended each (ms, sorted), and the last one of each customer."""

    appended_ms: list[int]
    last: dict[str, float]

    def per_second(self, skipped: int) -> float:
        """Orders a second, two for each total, from when `skipped` totals were there to the last one. Those that were
        appended in the same millisecond as the last of the skipped ones do not count."""
        began_ms = self.appended_ms[skipped - 1]
        counted = len(self.appended_ms) - bisect_right(self.appended_ms, began_ms)
        return counted * 2_000 / max(self.appended_ms[-1] - began_ms, 1)


class TotalsTopic:
    """Watches how many records a topic shows to a reader of committed records, by the ends of its partitions: cheaper for
    the machine under measurement than reading them. They are read and checked afterwards."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"watcher-{uuid.uuid4().hex}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self._partitions = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]

    def end(self) -> int:
        """In a transactional topic with the markers, one for each partition and transaction."""
        return sum(self._consumer.get_watermark_offsets(one, timeout=10)[1] for one in self._partitions)

    def wait_for(self, count: int, is_alive: Callable[[], bool], deadline: float) -> None:
        """Until there are so many. Raises: TimeoutError, RuntimeError."""
        self._wait(lambda seen, _: seen >= count, count, is_alive, deadline)

    def wait_for_last(self, count: int, is_alive: Callable[[], bool], deadline: float) -> float:
        """The time of day when the last one came: at least `count`, and then nothing for a while, for markers count in a
        transactional topic. Raises: TimeoutError, RuntimeError."""
        when, last = 0.0, -1

        def is_still(seen: int, now: float) -> bool:
            nonlocal when, last
            if seen != last:
                when, last = now, seen
            return seen >= count and now - when > STILL_S

        self._wait(is_still, count, is_alive, deadline)
        return when

    def _wait(
        self, is_enough: Callable[[int, float], bool], count: int, is_alive: Callable[[], bool], deadline: float
    ) -> None:
        seen = 0
        while True:
            try:
                seen = self.end()
            except KafkaException as error:
                if error.args[0].code() not in NOT_KNOWN_YET:
                    raise
            if is_enough(seen, time.time()):
                return
            if not is_alive():
                raise RuntimeError(f"it ended by itself after {seen} of {count} totals")
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{seen} of {count} totals when the time was over")
            time.sleep(CHECK_S)

    def read(self, field: str = "total") -> Totals:
        """Everything that is there now, read by a consumer; `field` has the result."""
        self._consumer.assign(self._partitions)
        at_end = 0
        appended: list[int] = []
        last: dict[str, float] = {}
        deadline = time.monotonic() + READ_TIMEOUT_S
        while at_end < PARTITIONS and time.monotonic() < deadline:
            for message in self._consumer.consume(10_000, 0.1):
                error = message.error()
                if error is None:
                    total = orjson.loads(message.value())
                    last[total["customer"]] = total[field]
                    appended.append(message.timestamp()[1])
                elif error.code() == KafkaError._PARTITION_EOF:
                    at_end += 1
        return Totals(sorted(appended), last)

    def delays_ms(self, is_over: Callable[[], bool]) -> list[float]:
        """From the moment that an order names as its own (`at`) to the moment its total is here, until `is_over`."""
        self._consumer.assign([TopicPartition(self._topic, number, OFFSET_END) for number in range(PARTITIONS)])
        delays: list[float] = []
        while not is_over():
            first = self._consumer.poll(0.05)
            messages = [] if first is None else [first, *self._consumer.consume(1_000, 0)]
            now = time.time()
            made = [orjson.loads(message.value())["at"] for message in messages if message.error() is None]
            delays += [(now - at) * 1000 for at in made if at]
        return delays

    def close(self) -> None:
        self._consumer.close()


def send_steadily(bootstrap: str, topic: str, per_second: int, seconds: float) -> None:
    """Orders that say when they were made, `per_second` of them in millisecond steps, each sent after
    five at most, as librdkafka does by itself: without that pause every order would be a request, and the broker the bottleneck."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
    per_step = per_second // 1_000
    began = time.perf_counter()
    stream = orders(int(per_second * seconds))
    for step, some in groupby(enumerate(stream), key=lambda one: one[0] // per_step):
        while time.perf_counter() < began + step / 1_000:
            time.sleep(0.0002)
        for _, (key, value, partition) in some:
            stamped = value.replace(b'"at":0.0', b'"at":%.6f' % time.time())
            producer.produce(topic, stamped, key, partition)
        producer.poll(0)
    producer.flush(10)
