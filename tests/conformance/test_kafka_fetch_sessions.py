"""Apache Kafka's own consumer keeps a fetch session (KIP-227) with our broker."""

import os
import threading
import urllib.request

import pytest
from peers.mainstem_node import MainstemNode
from peers.node import free_ports
from peers.tools import KafkaTools

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(
        os.environ.get("MAINSTEM_CONFORMANCE_BROKER", "mainstem") != "mainstem", reason="looks at our own metrics"
    ),
]
SESSIONS = "kafka_server_fetchsessioncache_numincrementalfetchsessions"


def scraped(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as page:
        lines = page.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_the_java_consumer_opens_a_session_reads_through_it_and_closes_it():
    (port,) = free_ports(1)
    with MainstemNode(overrides={"metrics.port": str(port), "offsets.topic.num.partitions": "1"}) as node:
        tools = KafkaTools(node.bootstrap)
        tools.run("kafka-topics", "--create", "--topic", "t", "--partitions", "3").succeeded()
        read: list[list[str]] = []
        consumer = threading.Thread(
            target=lambda: read.append(
                tools.run(
                    *["kafka-console-consumer", "--topic", "t", "--from-beginning"],
                    *["--max-messages", "300", "--timeout-ms", "60000"],
                )
                .succeeded()
                .lines()
            )
        )
        consumer.start()
        try:
            # The consumer waits in a long poll of its session until there is something to read.
            waited = threading.Event()
            for _ in range(600):
                if scraped(port, SESSIONS) == 1:
                    break
                waited.wait(0.1)
            assert scraped(port, SESSIONS) == 1
            lines = [f"line {n}" for n in range(300)]
            tools.run(
                "kafka-console-producer", "--topic", "t", stdin="".join(f"{line}\n" for line in lines)
            ).succeeded()
        finally:
            consumer.join()
        assert sorted(read[0]) == sorted(lines)
        assert scraped(port, SESSIONS) == 0
