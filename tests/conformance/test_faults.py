"""Faults over HTTP, met by Apache Kafka's own clients: what a test in any language does."""

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers.mainstem_node import MainstemNode
from peers.node import free_ports
from peers.tools import KafkaTools

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def faulty() -> Iterator[tuple[KafkaTools, Callable[..., Any]]]:
    """Tools against a broker of its own, and a way to ask for faults."""
    (port,) = free_ports(1)
    overrides = {"metrics.port": str(port), "faults.enable": "true", "faults.seed": "7"}

    def ask(method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    with MainstemNode(overrides=overrides) as node:
        yield KafkaTools(node.bootstrap), ask


def test_the_java_producer_survives_a_leader_that_moves(faulty, fresh_name):
    tools, ask = faulty
    topic = fresh_name()
    tools.run("kafka-topics", "--create", "--topic", topic).succeeded()
    rule = ask("POST", "/faults", {"kind": "error", "error": "NOT_LEADER_OR_FOLLOWER", "api": "Produce", "count": 2})
    tools.run("kafka-console-producer", "--topic", topic, stdin="one\ntwo\n").succeeded()
    assert ask("GET", f"/faults/{rule['id']}")["injected"] == 2
    assert tools.run("kafka-get-offsets", "--topic", topic).succeeded().lines() == [f"{topic}:0:2"]
    ask("DELETE", "/faults")


def test_the_java_producer_duplicates_nothing_when_its_connection_goes_after_the_append(faulty, fresh_name):
    tools, ask = faulty
    topic = fresh_name()
    tools.run("kafka-topics", "--create", "--topic", topic).succeeded()
    rule = ask("POST", "/faults", {"kind": "disconnect", "api": "Produce", "when": "after", "count": 2})
    lines = "".join(f"{number}\n" for number in range(50))
    tools.run("kafka-console-producer", "--topic", topic, "--batch-size", "16", stdin=lines).succeeded()
    assert ask("GET", f"/faults/{rule['id']}")["injected"] == 2
    assert tools.run("kafka-get-offsets", "--topic", topic).succeeded().lines() == [f"{topic}:0:50"]
    ask("DELETE", "/faults")


def test_the_java_consumer_survives_a_coordinator_that_moves(faulty, fresh_name):
    tools, ask = faulty
    topic, group = fresh_name(), fresh_name()
    tools.run("kafka-topics", "--create", "--topic", topic).succeeded()
    tools.run("kafka-console-producer", "--topic", topic, stdin="one\ntwo\n").succeeded()
    moved = ask("POST", "/faults", {"kind": "coordinator-move", "group": group, "count": 1})
    read = ("--topic", topic, "--group", group, "--from-beginning", "--max-messages", "2", "--timeout-ms", "60000")
    assert tools.run("kafka-console-consumer", *read).succeeded().lines() == ["one", "two"]
    assert ask("GET", f"/faults/{moved['id']}")["injected"] == 1
    described = tools.run("kafka-consumer-groups", "--describe", "--group", group).succeeded().output
    assert [line.split()[3:6] for line in described.splitlines() if topic in line] == [["2", "2", "0"]]
    ask("DELETE", "/faults")
