"""A Kafka Streams 4.1 application with exactly-once: repartition topic, changelog, a crash and a restore."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from peers.java_programs import run_java
from peers.reading import read_all

pytestmark = pytest.mark.conformance

CRASHED = 42
LINES = 150
WORDS = ("stream", "broker", "topic", "offset", "group")
RUN_TIMEOUT_S = 150


def line(n: int) -> str:
    return " ".join(WORDS[(n * k) % len(WORDS)] for k in (1, 2, 3))


@pytest.mark.timeout(600)
def test_word_counts_are_exact_over_a_crash(
    bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str]
):
    """The first run halts after some words; the second loses its state folder too, and restores it."""
    source, counts, application = new_topic(2), new_topic(1), fresh_name()
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(LINES):
        producer.produce(source, key=f"{n}", value=line(n))
    assert producer.flush(30) == 0

    state = Path(tempfile.mkdtemp(prefix="streams-"))
    try:
        arguments = [bootstrap, application, source, counts, str(state), f"{LINES * 3}"]
        crashed = run_java("StreamsWordCount", [*arguments, "100"], timeout_s=RUN_TIMEOUT_S)
        assert crashed.returncode == CRASHED, crashed.stderr
        shutil.rmtree(state)
        finished = run_java("StreamsWordCount", [*arguments, "0"], timeout_s=RUN_TIMEOUT_S)
        assert finished.returncode == 0, finished.stderr
    finally:
        shutil.rmtree(state, ignore_errors=True)

    latest: dict[str, int] = {}
    for word, count in read_all(bootstrap, counts, 1, "read_committed"):
        assert int(count) > latest.get(word, 0), f"the count of {word} went back"
        latest[word] = int(count)
    assert latest == Counter(word for n in range(LINES) for word in line(n).split())
