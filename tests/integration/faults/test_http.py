"""`/faults` as tests in other languages use it, and who may not."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from mainstem import Broker
from mainstem.model.errors import ConfigError

WAIT_S = 30.0
JSON = {"Content-Type": "application/json"}


def ask(
    broker: Broker, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    assert broker.metrics_port is not None
    connection = http.client.HTTPConnection("127.0.0.1", broker.metrics_port, timeout=WAIT_S)
    text = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
    connection.request(method, path, text, JSON if headers is None else headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    is_json = response.headers["Content-Type"].startswith("application/json")
    return response.status, json.loads(answer) if is_json else answer


def test_a_rule_is_made_counted_and_removed(broker: Broker, send: Callable[..., list[KafkaError | None]]) -> None:
    rule = {"kind": "error", "error": "TOPIC_AUTHORIZATION_FAILED", "api": "Produce", "topic": "t"}
    assert ask(broker, "POST", "/faults", rule) == (201, {"id": 1})
    (error,) = send([b"0"])
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    status, listed = ask(broker, "GET", "/faults")
    assert (status, listed["seed"]) == (200, 7)
    assert [(each["id"], each["matched"], each["injected"]) for each in listed["rules"]] == [(1, 1, 1)]
    assert listed["rules"][0]["fault"]["error"] == "TOPIC_AUTHORIZATION_FAILED"
    assert ask(broker, "GET", "/faults/1")[1]["injected"] == 1
    assert ask(broker, "DELETE", "/faults/1") == (200, {})
    assert send([b"0"]) == [None]
    assert ask(broker, "GET", "/faults/1")[0] == 404


def test_all_rules_are_removed_at_once(broker: Broker) -> None:
    for _ in range(3):
        assert ask(broker, "POST", "/faults", {"kind": "delay", "delay_ms": 5, "api": "Fetch"})[0] == 201
    assert ask(broker, "DELETE", "/faults") == (200, {})
    assert ask(broker, "GET", "/faults")[1]["rules"] == []
    assert broker.faults.statuses() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"),
    [
        ("POST", "/faults", {"kind": "error", "error": "NOT_LEADER"}, JSON, 400, "NOT_LEADER"),
        ("POST", "/faults", {"kind": "error", "error": "NOT_COORDINATOR", "topics": "t"}, JSON, 400, "topics"),
        ("POST", "/faults", {"kind": "flood"}, JSON, 400, "flood"),
        ("POST", "/faults", b"{", JSON, 400, "fault"),
        ("POST", "/faults", b"", JSON, 400, "fault"),
        ("POST", "/faults", {"kind": "disconnect"}, {"Content-Type": "text/plain"}, 415, "application/json"),
        ("POST", "/faults/1", {"kind": "disconnect"}, JSON, 405, "POST"),
        ("DELETE", "/faults/9", None, JSON, 404, "9"),
        ("DELETE", "/faults/x", None, JSON, 404, "x"),
        ("GET", "/faults/x", None, JSON, 404, "x"),
        ("PUT", "/faults", None, JSON, 405, "GET"),
        ("OPTIONS", "/faults", None, JSON, 405, "GET"),
    ],
)
def test_what_cannot_be_done_is_said(
    broker: Broker, method: str, path: str, body: Any, headers: dict[str, str], status: int, words: str
) -> None:
    found, answer = ask(broker, method, path, body, headers)
    assert found == status
    assert words in answer["error"]
    assert broker.faults.statuses() == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_nobody_makes_faults_where_they_are_not_enabled(method: str) -> None:
    with Broker(storage="memory", config={"metrics.port": 0}) as broker:
        status, answer = ask(broker, method, "/faults", {"kind": "disconnect"})
        assert status == 403
        assert "faults.enable" in answer["error"]
        assert broker.faults.statuses() == []
        assert ask(broker, "GET", "/metrics")[0] == 200


def test_enabling_needs_a_port() -> None:
    with pytest.raises(ConfigError, match=r"metrics\.port"):
        Broker(storage="memory", config={"faults.enable": True}).start()
