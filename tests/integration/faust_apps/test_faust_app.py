"""An unmodified Faust application on the broker, in its own process, through Faust's own Kafka driver."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

APP = Path(__file__).with_name("counting_app.py")
TIMEOUT_S = 60
VOCABULARY = ["river", "stem", "delta", "ferry", "quay"]


class Worker:
    """`python counting_app.py worker`, with what it printed kept in a file."""

    def __init__(self, name: str, bootstrap: str, folder: Path, guarantee: str) -> None:
        environment = {
            **os.environ,
            "COUNTING_APP_GUARANTEE": guarantee,
            "COUNTING_APP_NAME": name,
            "COUNTING_APP_BOOTSTRAP": bootstrap,
            "COUNTING_APP_DATADIR": str(folder / "data"),
        }
        folder.mkdir()
        self.log = folder / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(APP), "worker", "--loglevel", "info", "--without-web"],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
            )

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the worker did not end:\n{self.printed()}") from None

    def is_ready(self) -> bool:
        return "Worker ready" in self.log.read_text(errors="replace")

    def printed(self) -> str:
        return self.log.read_text(errors="replace")[-6_000:]


class CountingApp:
    """The application seen from outside: send it words, read what it counted."""

    def __init__(self, name: str, bootstrap: str, admin: AdminClient, folder: Path) -> None:
        self.name = name
        self.sent: Counter[str] = Counter()
        self.counts: dict[str, list[int]] = {word: [] for word in VOCABULARY}
        self._bootstrap = bootstrap
        self._admin = admin
        self._folder = folder
        self._started: list[Worker] = []
        shapes = {"words": 2, "counts": 2, "known": 1}
        topics = [NewTopic(f"{name}-{suffix}", partitions, 1) for suffix, partitions in shapes.items()]
        for created in admin.create_topics(topics).values():
            created.result(TIMEOUT_S)
        self.producer = Producer({"bootstrap.servers": bootstrap})

    def start_worker(self, guarantee: str = "at_least_once") -> Worker:
        folder = self._folder / f"{len(self._started)}"
        self._started.append(Worker(self.name, self._bootstrap, folder, guarantee))
        return self._started[-1]

    def close(self) -> None:
        for worker in self._started:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()

    def send(self, words: list[str]) -> None:
        self.sent += Counter(words)
        for word in words:
            self.producer.produce(f"{self.name}-words", json.dumps({"text": word}), key=json.dumps(word))
        assert self.producer.flush(TIMEOUT_S) == 0, "words were left undelivered"

    def collect(self, counts: Consumer) -> None:
        """Take in the next announced count, waiting a moment for it."""
        for answer in next_values(counts):
            self.counts[answer["text"]].append(answer["count"])

    def all_counted(self) -> bool:
        return {word: max(seen, default=0) for word, seen in self.counts.items() if seen} == self.sent

    def all_committed(self) -> bool:
        """Whether the group has committed as many offsets as words were sent."""
        asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self.name)])
        committed = asked[self.name].result(TIMEOUT_S).topic_partitions
        ours = [each.offset for each in committed if each.topic == f"{self.name}-words"]
        return sum(ours) == self.sent.total()


@pytest.fixture
def app(bootstrap: str, admin: AdminClient, fresh_name: Callable[[], str], tmp_path: Path) -> Iterator[CountingApp]:
    opened = CountingApp(fresh_name(), bootstrap, admin, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def read(bootstrap: str) -> Iterator[Callable[..., Consumer]]:
    """Opens readers of whole topics, from the first record on."""
    consumers: list[Consumer] = []

    def start(topic: str, partitions: int) -> Consumer:
        settings = {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False}
        consumers.append(Consumer(settings))
        consumers[-1].assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        return consumers[-1]

    yield start
    for consumer in consumers:
        consumer.close()


def wait(worker: Worker, what: str, holds: Callable[[], bool], step: Callable[[], object]) -> None:
    ends = time.monotonic() + TIMEOUT_S
    while not holds():
        assert worker.process.poll() is None, f"the worker died before {what}:\n{worker.printed()}"
        assert time.monotonic() < ends, f"after {TIMEOUT_S} s not yet {what}:\n{worker.printed()}"
        step()


def next_values(consumer: Consumer) -> list:
    """The value of the next message if one comes soon."""
    message = consumer.poll(0.2)
    if message is None:
        return []
    assert message.error() is None, message.error()
    return [json.loads(message.value())]


@pytest.mark.parametrize(
    ("guarantee", "ending"),
    [("at_least_once", signal.SIGTERM), ("at_least_once", signal.SIGKILL), ("exactly_once", signal.SIGKILL)],
    ids=["asked to stop", "killed", "killed, with exactly-once"],
)
def test_a_restarted_worker_goes_on_counting_where_it_was(app, read, guarantee, ending):
    """The table lives in memory, so after the restart it can only come from the changelog topic.

    Words are sent to a worker that is ready: Faust 0.15 drops what reaches it between the recovery of its
    tables and the resumption of its streams, on Apache Kafka as well, until its next rebalance.
    """
    chance = random.Random(7)
    counts = read(f"{app.name}-counts", 2)
    worker = app.start_worker(guarantee)
    wait(worker, "ready", worker.is_ready, lambda: app.collect(counts))
    app.send(chance.choices(VOCABULARY, k=60))
    wait(worker, "all words counted", app.all_counted, lambda: app.collect(counts))
    wait(worker, "all offsets committed", app.all_committed, lambda: app.collect(counts))
    worker.end(ending)

    restarted = app.start_worker(guarantee)
    wait(restarted, "ready", restarted.is_ready, lambda: app.collect(counts))
    app.send(chance.choices(VOCABULARY, k=40))
    wait(restarted, "all words counted", app.all_counted, lambda: app.collect(counts))

    assert app.counts == {word: list(range(1, app.sent[word] + 1)) for word in VOCABULARY}
    restarted.end(signal.SIGTERM)


def test_the_timer_announces_how_many_words_are_known(app, read):
    known = read(f"{app.name}-known", 1)
    announced: list[int] = []
    worker = app.start_worker()
    wait(worker, "ready", worker.is_ready, lambda: announced.extend(next_values(known)))
    app.send(VOCABULARY)

    wait(
        worker,
        "all words known",
        lambda: announced[-1:] == [len(VOCABULARY)],
        lambda: announced.extend(next_values(known)),
    )

    assert announced == sorted(announced)
    worker.end(signal.SIGTERM)
