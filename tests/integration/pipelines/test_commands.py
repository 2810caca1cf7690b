"""validate, graph, offsets, state and dlq on a script, against a broker over the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from confluent_kafka import Producer

SCRIPT = """
from mainstem import Dlq, Pipeline, Sum, run

orders = Pipeline({name!r}).source({topic!r}, value="json", on_error=Dlq({name!r} + "-dead"))
totals = (
    orders.key_by("customer")
    .aggregate(total=Sum("amount"))
    .sink({name!r} + "-totals", key="string", value="json")
)
if __name__ == "__main__":
    run(totals)
"""


class Tool:
    def __init__(self, folder: Path, bootstrap: str, name: str, topic: str) -> None:
        self.folder = folder
        self.bootstrap = bootstrap
        self.name = name
        self.topic = topic
        (folder / "orders.py").write_text(SCRIPT.format(name=name, topic=topic))

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        command = [sys.executable, "-m", "mainstem.cli.main", *arguments]
        if arguments[0] not in ("graph",):
            command += ["--broker", f"kafka://{self.bootstrap}"]
        done = subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == expect, done.stderr
        return done.stdout if expect == 0 else done.stderr

    def run(self) -> None:
        self("run", "orders.py", "--once")

    def produce(self, *values: str) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for value in values:
            producer.produce(self.topic, value, partition=0)
        assert producer.flush(30) == 0


@pytest.fixture
def tool(tmp_path, bootstrap, new_topic, fresh_name) -> Tool:
    return Tool(tmp_path, bootstrap, fresh_name(), new_topic(2))


def order(customer: str, amount: int) -> str:
    return json.dumps({"customer": customer, "amount": amount})


def test_a_plan_is_validated_and_drawn_without_running(tool):
    text = tool("validate", "orders.py")
    assert f"read topic {tool.topic}, value json; on error to {tool.name}-dead" in text
    assert f"records move through {tool.name}-key_by-repartition (2)" in text
    assert f"section key_by: 2 tasks, state in {tool.name}-key_by-changelog" in text
    assert tool("graph", "orders.py").startswith("flowchart LR\n")
    tool("graph", "orders.py", "--format", "svg", "--output", "plan.svg")
    root = ElementTree.parse(tool.folder / "plan.svg").getroot()
    assert "key_by" in [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]


def test_positions_are_read_and_moved_when_the_pipeline_is_stopped(tool):
    tool.produce(*(order("ann", amount) for amount in range(5)))
    tool.run()
    get = json.loads(tool("offsets", "get", "--pipeline", tool.name, "--topic", tool.topic, "--json"))
    assert {one["partition"]: one["offset"] for one in get}[0] == 5
    tool("offsets", "set", "--pipeline", tool.name, "--topic", tool.topic, "--partition", "0", "--offset", "3")
    assert f"{tool.topic}" in tool("offsets", "get", "--pipeline", tool.name)
    moved = json.loads(
        tool("offsets", "reset", "--pipeline", tool.name, "--topic", tool.topic, "--to-earliest", "--json")
    )
    assert [one["offset"] for one in moved] == [0, 0]
    error = tool(
        "offsets", "set", "--pipeline", tool.name, "--topic", tool.topic, "--partition", "0", "--offset", "99", expect=1
    )
    assert f"{tool.topic}-0 has offsets from 0 to 5, not 99" in error


def test_state_is_listed_dumped_and_reset(tool):
    tool.produce(order("ann", 2), order("bob", 3), order("ann", 4))
    tool.run()
    listed = json.loads(tool("state", "list", "orders.py", "--json"))
    assert sum(one["entries"] for one in listed if one["step"] == "aggregate") == 2
    dumped = json.loads(tool("state", "dump", "orders.py", "--step", "aggregate", "--json"))
    assert {one["key"]: one["value"] for one in dumped} == {"ann": [6], "bob": [3]}
    assert f"would delete {tool.name}-key_by-changelog" in tool("state", "reset", "orders.py")
    tool("state", "reset", "orders.py", "--execute")
    tool.produce(order("ann", 1))
    tool.run()
    dumped = json.loads(tool("state", "dump", "orders.py", "--step", "aggregate", "--json"))
    assert {one["key"]: one["value"] for one in dumped} == {"ann": [1]}, "it began anew where it was"


def test_dead_letters_are_listed_and_sent_back(tool):
    tool.produce(order("ann", 2), "{broken", order("ann", 3), "{broken too")
    tool.run()
    dead = f"{tool.name}-dead"
    letters = json.loads(tool("dlq", "list", dead, "--json"))
    assert [one["value"] for one in letters] == ["{broken", "{broken too"]
    assert {(one["stage"], one["source"].rpartition(":")[0]) for one in letters} == {("source", f"{tool.topic}-0")}
    (cause,) = json.loads(tool("dlq", "list", dead, "--by-cause", "--json"))
    assert cause["letters"] == 2
    assert "1 letters were sent" in tool("dlq", "replay", dead, "--from-offset", "1")
    tool.run()
    assert [one["value"] for one in json.loads(tool("dlq", "list", dead, "--json"))][2:] == ["{broken too"]
