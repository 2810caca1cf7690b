"""Faust's published examples do what their comments say, on a broker of ours and with nothing changed but its URL.

Not here: `concurrency.py` asks a web site for each record; `kubernetes/producer` imports a class that aiokafka does not have, and
`crontab/tz_aware.py` gives a parameter that `App.crontab` does not know: they fail before they reach a broker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from faust_examples.conftest import Examples

pytestmark = pytest.mark.conformance

NewExamples = Callable[[str], Examples]
MINUTE_S = 75.0


@pytest.mark.parametrize("kind", ["memory", "embedded", "kafka"])
def test_hello_world(new_examples: NewExamples, kind: str) -> None:
    worker = new_examples(kind).worker("hello_world.py")
    worker.wait_for_all(r"hello (\d+)", {str(number) for number in range(100)})
    assert worker.end() == 0


@pytest.mark.parametrize("kind", ["memory", "embedded", "kafka"])
def test_word_count(new_examples: NewExamples, kind: str) -> None:
    """Two agents, a table in RocksDB, and web pages that look things up in it."""
    examples = new_examples(kind)
    worker = examples.worker("word_count.py")
    for word in ("the", "quick", "brown", "fox"):
        examples.wait_for_answer(f"/count/{word}/", lambda found, word=word: found == {word: 1_000})
    worker.wait_for(r"Tally \$\$")
    assert worker.end() == 0


def test_leader(new_examples: NewExamples) -> None:
    worker = new_examples("embedded").worker("leader.py")
    worker.wait_for("PUBLISHING ON LEADER!")
    worker.wait_for(r"0\.\d+")
    assert worker.end() == 0


def test_bound_agent(new_examples: NewExamples) -> None:
    """Agents that hand on by channels; at some seconds of the clock they raise, and a dead letter goes out."""
    worker = new_examples("embedded").worker("bound_agent.py")
    worker.wait_for(r"\[stage2\] action arrived: <DeviceAction|\[dead letter\] arrived: <DeadLetter: stage='stage[12]'")
    assert worker.end() == 0


def test_table_of_sets_and_commands(new_examples: NewExamples) -> None:
    examples = new_examples("kafka")
    worker = examples.worker("tableofset.py")
    worker.wait_for("Worker ready")
    for name in ("ada", "bob"):
        examples.command("tableofset.py", "joining", "home", name)
    worker.wait_for("- Bob joined home")
    examples.command("tableofset.py", "leaving", "home", "ada")
    worker.wait_for(r"- Ada left home\s.*\s?.*TABLE CUR: .*\{'bob'\}")
    assert worker.end() == 0


def test_table_test(new_examples: NewExamples) -> None:
    """Records of each partition come in order, and none is counted twice."""
    examples = new_examples("kafka")
    worker = examples.worker("tabletest.py")
    worker.wait_for("Worker ready")
    producer = examples.start("tabletest.py", "produce")
    producer.wait_for(r"(?m)^200$")
    producer.kill()
    worker.wait_for(r"Tally \$\$")
    for partition in range(4):
        found = examples.get(f"/count/{partition}/")[str(partition)]
        assert found >= sum(range(200))
    assert "!!! PREV" not in worker.printed
    assert worker.end() == 0


def test_withdrawals(new_examples: NewExamples) -> None:
    """Windows relative to the stream, fed by a command."""
    examples = new_examples("kafka")
    worker = examples.worker("withdrawals.py")
    worker.wait_for("Worker ready")
    examples.command("withdrawals.py", "produce", "--max-latency", "0", "--max-messages", "500")
    assert examples.wait_for_end("faust-withdrawals-v5-user_to_total-changelog", 500) == 500
    assert worker.end() == 0


def test_task_queue(new_examples: NewExamples) -> None:
    worker = new_examples("embedded").worker("task_queue.py")
    asked = worker.wait_for(r"Processing task: <Request: id='([^']+)'.*arguments=\[(\d+), (\d+)\]")
    assert int(worker.wait_for(f"Result of {asked[1]} is: (\\d+)")[1]) == int(asked[2]) + int(asked[3])
    assert worker.end() == 0


def test_windowed_aggregation(new_examples: NewExamples) -> None:
    worker = new_examples("embedded").worker("windowed_aggregation.py")
    closed = worker.wait_for(r"processing window:(\d+) events,mean: (0\.\d+),timestamp (\d+)")
    assert 1 <= int(closed[1]) <= 110
    assert worker.end() == 0


@pytest.mark.parametrize("kind", ["tumbling", "hopping"])
def test_windows(new_examples: NewExamples, kind: str) -> None:
    worker = new_examples("embedded").worker(f"windowing/{kind}.py")
    worker.wait_for(r"current\(\) should .*: 2\b")
    worker.wait_for(r"value\(\) should .*: 2\b")
    worker.wait_for(r"delta\(30\) should .*: 0\b")
    assert worker.end() == 0


def test_hopping_windows_of_lists(new_examples: NewExamples) -> None:
    worker = new_examples("embedded").worker("windowing/hopping_2.py")
    worker.wait_for(r"Receive message : <RawModel: date=\d+, value=3\b")
    assert worker.end() == 0


@pytest.mark.parametrize("kind", ["embedded", "kafka"])
def test_rpc(new_examples: NewExamples, kind: str) -> None:
    """An agent asks another one; `join` keeps the order, `map` does not; a command asks from a process of its own."""
    examples = new_examples(kind)
    worker = examples.worker("advanced/rpc.py")
    worker.wait_for("Worker ready")
    if kind == "kafka":
        assert "3 * 100 = 300.0" in examples.command("advanced/rpc.py", "x100", "3")
    joined = json.loads(worker.wait_for(r"JOINED: (\[.*\])")[1])
    expected = [value**2 * 100.0 for value in (30.3, 40.4, 50.5, 60.6, 70.7, 80.8, 90.9)]
    assert joined == pytest.approx(expected)
    worker.wait_for_all(r"RECEIVED REPLY: (\d+)", {str(int(value)) for value in joined})
    assert worker.end() == 0


def test_service(new_examples: NewExamples) -> None:
    worker = new_examples("embedded").worker("advanced/service.py")
    worker.wait_for(r"MyService\]: STARTED")
    worker.wait_for("Received: 'hello'")
    assert worker.end() == 0
    assert re.search(r"MyService\]: STOPPED", worker.printed)


def test_isolated_partitions(new_examples: NewExamples) -> None:
    """An agent per partition, which asserts that it sees no other."""
    examples = new_examples("kafka")
    script = "advanced/isolated_partitions_crashing.py"
    worker = examples.worker(script)
    worker.wait_for("Worker ready")
    examples.command(script, "produce", "--max-latency", "0", "--max-messages", "400")
    worker.wait_for(r"Progressing: was \d+ now 400")
    assert "Traceback" not in worker.printed
    assert worker.end() == 0


@pytest.mark.timeout(2 * MINUTE_S)
def test_crontab(new_examples: NewExamples) -> None:
    worker = new_examples("embedded").worker("crontab/tz_unaware.py")
    worker.wait_for("-- We should send a message every minute --", deadline_s=MINUTE_S)
    worker.wait_for(r"record: <Model: random=[01]\.\d+>")
    assert worker.end() == 0


def test_kubernetes_consumer(new_examples: NewExamples) -> None:
    """`group_by` a function, and totals by what it says. Scores come from another client."""
    examples = new_examples("kafka")
    worker = examples.worker("kubernetes/consumer/consumer.py")
    worker.wait_for("Worker ready")
    producer = Producer({"bootstrap.servers": examples.bootstrap})
    for index in range(100):
        producer.produce("test", json.dumps({"index": index, "value": 1}), key="score")
    assert producer.flush(30) == 0
    worker.wait_for("Total: 100, ")
    worker.wait_for("Partition partition: 0: 50")
    worker.wait_for("Partition partition: 1: 50")
    assert worker.end() == 0
