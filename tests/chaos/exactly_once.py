"""A run: workers copy a topic in transactions while they and their broker are killed; what was copied is then counted.

Everything random about a run comes from its seed. What cannot be seeded is the machine: a seed that failed once may pass again.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from broker_process import BrokerProcess
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

LIBRDKAFKA, NEWEST = (Path(__file__).with_name(name) for name in ("worker.py", "worker_v2.py"))
PARTITIONS = 3
START_TIMEOUT_S = 30.0
RUN_TIMEOUT_S = 90.0
GROUP = "copy"


class NotExactlyOnce(AssertionError):
    """Something was lost, doubled or never finished."""


@dataclass(kw_only=True)
class Report:
    seed: int
    records: int
    worker: str
    broker_kills: int = 0
    worker_kills: int = 0
    restarts: int = 0
    seconds: float = 0.0


class Broker(BrokerProcess):
    """Killed and started again on the same port and directory."""

    def __init__(self, data: Path, storage: str) -> None:
        super().__init__(
            data,
            f"log.storage={storage}",
            "group.min.session.timeout.ms=1000",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms=500",
            "offsets.topic.num.partitions=3",
            "transaction.state.log.num.partitions=3",
        )

    def start(self, **environment: str) -> None:
        """Raises: NotExactlyOnce."""
        try:
            super().start(**environment)
        except AssertionError as error:
            raise NotExactlyOnce(f"the broker did not start:\n{self.log}") from error


@dataclass(kw_only=True)
class Workers:
    """Each has its transactional id for ever, and another process whenever the last one ended."""

    program: Path
    bootstrap: str
    count: int
    restarts: int = 0
    errors: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> None:
        self.processes = [self._start(index) for index in range(self.count)]

    def _start(self, index: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.program), self.bootstrap, "source", "sink", GROUP, f"worker-{index}"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def kill(self, index: int) -> None:
        self.processes[index].kill()

    def restart_ended(self) -> None:
        for index, process in enumerate(self.processes):
            if process.poll() is not None:
                self._reap(process)
                self.processes[index] = self._start(index)
                self.restarts += 1

    def _reap(self, process: subprocess.Popen[str]) -> None:
        process.wait()
        if process.stderr is not None:
            self.errors.append(process.stderr.read())
            process.stderr.close()

    def close(self) -> None:
        processes, self.processes = self.processes, []
        for process in processes:
            process.kill()
            self._reap(process)


def run(seed: int, directory: Path) -> Report:
    """Raises: NotExactlyOnce."""
    chance = random.Random(seed)
    began = time.monotonic()
    program = LIBRDKAFKA if seed % 2 else NEWEST
    report = Report(seed=seed, records=chance.randint(200, 900), worker=program.stem)
    broker = Broker(directory / "data", chance.choice(["segments", "segments", "sqlite"]))
    # Members of a group share the partitions among any number of workers, the others take one each.
    workers = Workers(
        program=program, bootstrap="", count=chance.randint(1, 3) if program is LIBRDKAFKA else PARTITIONS
    )
    try:
        broker.start()
        fill(broker.bootstrap_servers, report.records)
        workers.bootstrap = broker.bootstrap_servers
        workers.start()
        disturb(chance, broker, workers, report)
        wait_for_the_end(broker.bootstrap_servers, workers, report.records)
        workers.close()
        check(broker.bootstrap_servers, report.records)
    except NotExactlyOnce as error:
        workers.close()
        raise NotExactlyOnce(f"seed {seed}: {error}\n{''.join(workers.errors)}\n{broker.log[-4_000:]}") from error
    finally:
        workers.close()
        broker.close()
    report.restarts = workers.restarts
    report.seconds = round(time.monotonic() - began, 1)
    return report


def fill(bootstrap: str, count: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    created = admin.create_topics([NewTopic("source", PARTITIONS, 1), NewTopic("sink", PARTITIONS, 1)])
    for done in created.values():
        done.result(START_TIMEOUT_S)
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(count):
        producer.produce("source", str(number).encode(), partition=number % PARTITIONS)
    producer.flush(START_TIMEOUT_S)


def disturb(chance: random.Random, broker: Broker, workers: Workers, report: Report) -> None:
    for _ in range(chance.randint(1, 4)):
        # Workers need most of a second to begin; a part of the kills hits them before they have.
        time.sleep(chance.uniform(0.1, 1.4))
        if chance.random() < 0.4:
            broker.close()
            report.broker_kills += 1
            time.sleep(chance.uniform(0.0, 0.3))
            broker.start()
        else:
            workers.kill(chance.randrange(workers.count))
            report.worker_kills += 1
        workers.restart_ended()


def wait_for_the_end(bootstrap: str, workers: Workers, count: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "error_cb": lambda error: None, "log_level": 0})
    wanted = [ConsumerGroupTopicPartitions(GROUP, [TopicPartition("source", p) for p in range(PARTITIONS)])]
    deadline = time.monotonic() + RUN_TIMEOUT_S
    committed = 0
    while committed < count:
        if time.monotonic() > deadline:
            raise NotExactlyOnce(f"after {RUN_TIMEOUT_S:.0f} s only {committed} of {count} offsets are committed")
        workers.restart_ended()
        time.sleep(0.1)
        try:
            (found,) = admin.list_consumer_group_offsets(wanted, require_stable=True).values()
            partitions = found.result(5).topic_partitions
            committed = sum(max(0, p.offset) for p in partitions if p.error is None)
        except KafkaException:
            continue


def check(bootstrap: str, count: int) -> None:
    copied = Counter(read_committed(bootstrap))
    expected = {b"seen %d" % number for number in range(count)}
    lost = sorted(expected - set(copied))
    doubled = sorted(value for value, times in copied.items() if times > 1)
    foreign = sorted(set(copied) - expected)
    if lost or doubled or foreign:
        raise NotExactlyOnce(f"lost {lost[:9]}, doubled {doubled[:9]}, foreign {foreign[:9]} of {count}")


def read_committed(bootstrap: str) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "check",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
        }
    )
    consumer.assign([TopicPartition("sink", p, 0) for p in range(PARTITIONS)])
    found: list[bytes] = []
    ends: set[int] = set()
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        while len(ends) < PARTITIONS:
            if time.monotonic() > deadline:
                raise NotExactlyOnce("the sink could not be read to its end")
            message = consumer.poll(0.1)
            if message is None:
                continue
            if message.error() is None:
                found.append(message.value())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ends.add(message.partition())
        return found
    finally:
        consumer.close()
