"""Real clients, each in a process of its own: confluent-kafka (this file is its program) and Kafka's perf tools."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from cells import TRANSACTIONS
from confluent_kafka import Consumer, Producer
from exchange import percentile
from subjects import BrokerNode, run_measured_tool

_RECORDS = {"confluent-kafka": 300_000, "kafka perf tools": 400_000}
_RECORD_BYTES = 1_000
_TIMEOUT_S = 120.0
_POLL_EVERY = 1_000
_TRANSACTIONS_S = 6.0
_RECORDS_A_TRANSACTION = 10
_NUMBER = r"([0-9.]+)"
_PRODUCED = re.compile(rf"records sent, {_NUMBER} records/sec.*?{_NUMBER} ms 50th.*?{_NUMBER} ms 99th")


def measure_client(client: str, broker: BrokerNode, topic: str) -> dict[str, float]:
    """Write records with a client and read them all again, or commit one transaction after the other."""
    if client == TRANSACTIONS:
        return _run_self("transact", broker, topic, _RECORDS_A_TRANSACTION)
    records = _RECORDS[client]
    if client == "confluent-kafka":
        return _run_self("produce", broker, topic, records) | _run_self("consume", broker, topic, records)
    return _perf_produce(broker, topic, records) | _perf_consume(broker, topic, records)


def _run_self(work: str, broker: BrokerNode, topic: str, records: int) -> dict[str, float]:
    finished = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), work, broker.bootstrap, topic, str(records)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if finished.returncode != 0:
        raise RuntimeError(f"confluent-kafka could not {work}:\n{finished.stderr[-3000:]}")
    return json.loads(finished.stdout)


def _perf_produce(broker: BrokerNode, topic: str, records: int) -> dict[str, float]:
    arguments = ["--topic", topic, "--num-records", str(records), "--record-size", str(_RECORD_BYTES)]
    arguments += ["--throughput", "-1", "--producer-props", f"bootstrap.servers={broker.bootstrap}"]
    finished = run_measured_tool("kafka-producer-perf-test", arguments, timeout_s=_TIMEOUT_S).succeeded()
    found = _PRODUCED.search(finished.lines()[-1])
    if found is None:
        raise RuntimeError(f"kafka-producer-perf-test printed\n{finished.output}")
    rate, p50_ms, p99_ms = map(float, found.groups())
    return {"produced_per_s": rate, "p50_ms": p50_ms, "p99_ms": p99_ms}


def _perf_consume(broker: BrokerNode, topic: str, records: int) -> dict[str, float]:
    arguments = ["--bootstrap-server", broker.bootstrap, "--topic", topic, "--messages", str(records)]
    finished = run_measured_tool("kafka-consumer-perf-test", arguments, timeout_s=_TIMEOUT_S).succeeded()
    names, values = (line.split(", ") for line in finished.lines()[-2:])
    row = dict(zip(names, values, strict=True))
    if int(row["data.consumed.in.nMsg"]) < records:
        raise RuntimeError(f"kafka-consumer-perf-test read too little\n{finished.output}")
    # Without the time it takes to join the group, which depends on when a rebalance happens to end.
    return {"consumed_per_s": float(row["fetch.nMsg.sec"])}


def produce(bootstrap: str, topic: str, records: int) -> dict[str, float]:
    """Records per second until the last one is acknowledged; defaults but for a linger of 5 ms."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
    value = bytes(_RECORD_BYTES)
    failures = 0

    def delivered(error: object, _: object) -> None:
        nonlocal failures
        failures += error is not None

    began = time.perf_counter()
    for number in range(records):
        try:
            producer.produce(topic, value, on_delivery=delivered)
        except BufferError:
            producer.poll(0.1)
            producer.produce(topic, value, on_delivery=delivered)
        if number % _POLL_EVERY == 0:
            producer.poll(0)
    left = producer.flush(_TIMEOUT_S)
    elapsed = time.perf_counter() - began
    assert (left, failures) == (0, 0), f"{left} records were not sent, {failures} failed"
    return {"produced_per_s": records / elapsed}


def consume(bootstrap: str, topic: str, records: int) -> dict[str, float]:
    """Records per second from the first one on."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}-readers",
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    consumer.subscribe([topic])
    count, began, ends = 0, 0.0, time.monotonic() + _TIMEOUT_S
    while count < records and time.monotonic() < ends:
        # Never more than are left: asked for more, it waits for them until its time is up.
        messages = consumer.consume(min(10_000, records - count), 0.5)
        for message in messages:
            assert message.error() is None, f"{message.error()}"
        if messages and not began:
            # The first records have been waiting in the client: they and the join are not counted.
            began, records = time.perf_counter(), records - len(messages)
            continue
        count += len(messages)
    elapsed = time.perf_counter() - began
    consumer.close()
    assert count >= records, f"only {count} of {records} records came"
    return {"consumed_per_s": count / elapsed}


def transact(bootstrap: str, topic: str, records: int) -> dict[str, float]:
    """Transactions per second of one producer with so many records in each, and how long a commit takes."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic, "linger.ms": 0, "log_level": 0})
    producer.init_transactions(_TIMEOUT_S)
    value = bytes(_RECORD_BYTES)
    commits_ms: list[float] = []
    began = time.perf_counter()
    # The first ones find the coordinator and open the partitions.
    counts_from, ends = began + 1.0, began + 1.0 + _TRANSACTIONS_S
    while (started := time.perf_counter()) < ends:
        producer.begin_transaction()
        for _ in range(records):
            producer.produce(topic, value)
        producer.flush(_TIMEOUT_S)
        sent = time.perf_counter()
        producer.commit_transaction(_TIMEOUT_S)
        if started >= counts_from:
            commits_ms.append((time.perf_counter() - sent) * 1_000)
    commits_ms.sort()
    return {
        "transactions_per_s": len(commits_ms) / (time.perf_counter() - counts_from),
        "p50_ms": percentile(commits_ms, 0.5),
        "p99_ms": percentile(commits_ms, 0.99),
    }


if __name__ == "__main__":
    run = {"produce": produce, "consume": consume, "transact": transact}[sys.argv[1]]
    json.dump(run(sys.argv[2], sys.argv[3], int(sys.argv[4])), sys.stdout)
