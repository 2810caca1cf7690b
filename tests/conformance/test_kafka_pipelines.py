"""The tests of tests/integration that say what pipelines and Faust apps guarantee, on an Apache Kafka 4.1: workers that are killed,
members that come and go, transactions; and the contract of the transport `kafka`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers.kafka_node import KafkaNode

pytestmark = pytest.mark.conformance

INTEGRATION = Path(__file__).resolve().parents[1] / "integration"
TIMEOUT_S = 280


@pytest.mark.timeout(TIMEOUT_S + 20)
@pytest.mark.parametrize(
    "tests",
    [
        "pipelines/test_kills.py",
        "pipelines/test_workers.py",
        "faust_apps/test_guarantees.py",
        "plugins/test_kafka_transport.py",
    ],
)
def test_on_apache_kafka(kafka_node: KafkaNode, tests: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INTEGRATION / tests)]
    environment = {**os.environ, "MAINSTEM_TEST_BOOTSTRAP": kafka_node.bootstrap}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-6_000:]
    assert " passed" in done.stdout
