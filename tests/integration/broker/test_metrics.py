"""`/metrics` of a broker: readable by prometheus-client's own parser, and moving with the traffic."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from mainstem import Broker
from mainstem.api.sensor import Metric
from mainstem.telemetry import metrics as table


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker({"metrics.port": 0}) as running:
        yield running


def get(port: int, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type") or "", response.read()
    finally:
        connection.close()


def scrape(broker: Broker) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    assert broker.metrics_port is not None
    status, kind, body = get(broker.metrics_port, "/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_every_metric_of_the_table_is_exposed(broker: Broker) -> None:
    assert broker.metrics_port is not None
    _, _, body = get(broker.metrics_port, "/metrics")
    names = {metric.name for metric in vars(table).values() if isinstance(metric, Metric)}
    types = {line.split()[2] for line in body.decode().splitlines() if line.startswith("# TYPE")}
    assert names == types


def test_numbers_move_with_the_traffic(broker: Broker) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for n in range(30):
        producer.produce("orders", f"{n}".encode(), partition=0)
    assert producer.flush(20) == 0
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "readers", "enable.auto.commit": False}
    )
    consumer.commit(offsets=[TopicPartition("orders", 0, 12)], asynchronous=False)
    consumer.assign([TopicPartition("orders", 0, 0)])
    assert consumer.poll(20) is not None
    consumer.close()

    seen = scrape(broker)
    place = (("partition", "0"), ("topic", "orders"))
    assert seen["kafka_server_brokertopicmetrics_messagesin_total", (("topic", "orders"),)] == 30
    assert seen["kafka_server_brokertopicmetrics_bytesout_total", (("topic", "orders"),)] > 0
    assert seen["kafka_topic_partition_current_offset", place] == 30
    assert seen["kafka_consumergroup_lag", (("consumergroup", "readers"), *place)] == 18
    assert seen["kafka_consumergroup_lag_sum", (("consumergroup", "readers"), ("topic", "orders"))] == 18
    assert seen["kafka_network_requestmetrics_requests_total", (("request", "Produce"),)] >= 1
    assert seen["kafka_network_requestmetrics_totaltimems_count", (("request", "Produce"),)] >= 1
    assert seen["kafka_brokers", ()] == 1
    assert seen["kafka_server_brokertopicmetrics_totalproducerequests_total", (("topic", "orders"),)] >= 1
    assert seen["kafka_server_brokertopicmetrics_failedproducerequests_total", (("topic", "orders"),)] == 0
    assert seen["kafka_server_brokertopicmetrics_totalfetchrequests_total", (("topic", "orders"),)] >= 1
    assert seen["kafka_cluster_partition_insyncreplicascount", place] == 1
    assert seen["kafka_server_replicamanager_underminisrpartitioncount", ()] == 0


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/metrics", "POST", 405), ("/metrics", "HEAD", 200)]
)
def test_other_requests_are_answered_politely(broker: Broker, path: str, method: str, status: int) -> None:
    assert broker.metrics_port is not None
    assert get(broker.metrics_port, path, method)[0] == status


def start_reading(broker: Broker, group_id: str, **settings: str) -> Consumer:
    """A consumer that has its partitions."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group_id,
            "auto.offset.reset": "earliest",
            **settings,
        }
    )
    consumer.subscribe(["orders"])
    message = consumer.poll(30)
    assert message is not None
    assert message.error() is None
    return consumer


def test_groups_of_both_protocols_are_counted_by_state(broker: Broker) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce("orders", b"one")
    assert producer.flush(20) == 0
    classic = start_reading(broker, "old")
    modern = start_reading(broker, "new", **{"group.protocol": "consumer"})

    seen = scrape(broker)
    of_classic, of_all = "kafka_coordinator_group_groupmetadatamanager_", "kafka_server_group_coordinator_metrics_"
    assert seen[of_classic + "numgroups", ()] == 1
    assert seen[of_classic + "numgroupsstable", ()] == 1
    assert seen[of_all + "group_count", (("protocol", "consumer"),)] == 1
    assert seen[of_all + "consumer_group_rebalance_count", ()] >= 1
    assert seen[of_all + "group_completed_rebalance_count", ()] == 1

    for consumer in (classic, modern):
        consumer.commit(asynchronous=False)
        consumer.close()
    seen = scrape(broker)
    assert seen[of_classic + "numgroupsempty", ()] == 1
    assert seen[of_classic + "numgroupsstable", ()] == 0
    assert seen[of_all + "consumer_group_count", (("state", "empty"),)] == 1
    assert seen[of_all + "offset_commit_count", ()] >= 2
    assert seen[of_classic + "numoffsets", ()] == 2


def test_transactions_are_counted_by_state(broker: Broker) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "payments"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("orders", b"one")
    assert producer.flush(20) == 0
    seen = scrape(broker)
    assert seen["mainstem_transactional_ids", (("state", "Ongoing"),)] == 1
    assert seen["kafka_server_replicamanager_produceridcount", ()] >= 1
    assert seen["kafka_server_replicamanager_partitionswithlatetransactionscount", ()] == 0
    producer.abort_transaction(30)
    # Decided; the markers may still be on their way.
    seen = scrape(broker)
    assert seen["mainstem_transactional_ids", (("state", "Ongoing"),)] == 0
