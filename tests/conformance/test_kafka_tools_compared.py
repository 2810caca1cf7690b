"""Apache Kafka 4.1's tools and ours, given the same command lines, on our broker and on Apache Kafka.

Three comparisons for each line: Kafka's tool and ours on our broker, to the blank; Kafka's tool on our broker and on Apache
Kafka; Kafka's tool and ours on Apache Kafka. Compared are the exit code and standard output, and for errors what is said.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from peers.admin_steps import CONFIG_STEPS, GROUP_STEPS, LIVE_STEPS, TOPIC_STEPS
from peers.api_versions import ask_served_versions
from peers.data_steps import CLUSTER_STEPS, CONSOLE_STEPS, OFFSET_STEPS, TRANSACTION_STEPS
from peers.kafka_node import KafkaNode
from peers.mainstem_node import MainstemNode
from peers.tools import Finished
from peers.transcripts import FIRST_MS, JAVA, OURS, STEP_MS, Step, normalised, run_step, without_spacing

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

TIMEOUT_S = 60
END_TXN = 26
FILES = {
    "offsets.json": {"partitions": [{"topic": "cut-{who}", "partition": 0, "offset": 3}], "version": 1},
    "late.json": {"partitions": [{"topic": "cut-{who}", "partition": 1, "offset": 99}]},
    "twice.json": {"partitions": [{"topic": "cut-{who}", "partition": 0, "offset": 1}] * 2},
    "no-offset.json": {"partitions": [{"topic": "cut-{who}", "partition": 0}]},
    "no-partitions.json": {"version": 1},
    "version.json": {"version": 2, "partitions": []},
    "election.json": {"partitions": [{"topic": "orders-{who}", "partition": 0}]},
    "move.json": {"topics": [{"topic": "orders-{who}"}], "version": 1},
    "plan.json": {"version": 1, "partitions": [{"topic": "orders-{who}", "partition": 0, "replicas": [1]}]},
    "unknown-plan.json": {"version": 1, "partitions": [{"topic": "nosuch-{who}", "partition": 0, "replicas": [1]}]},
    "far-plan.json": {"version": 1, "partitions": [{"topic": "orders-{who}", "partition": 0, "replicas": [7]}]},
}


@dataclass(frozen=True)
class Site:
    """A broker, and a folder of files for each runner."""

    name: str
    bootstrap: str
    folders: dict[str, Path]


def prepare(name: str, bootstrap: str, folder: Path) -> Site:
    folders = {}
    for who in (JAVA, OURS):
        folders[who] = folder / name / who
        folders[who].mkdir(parents=True)
        for file, document in FILES.items():
            (folders[who] / file).write_text(json.dumps(document).replace("{who}", who))
        (folders[who] / "broken.json").write_text('{"partitions": [')
        (folders[who] / "add.properties").write_text("retention.ms=777000\nmax.message.bytes=2000\n")
        (folders[who] / "lines.txt").write_text("one\ntwo\n")
        fill(bootstrap, who)
    return Site(name, bootstrap, folders)


def fill(bootstrap: str, who: str) -> None:
    """Topics with ten records in each of two partitions, and a group that has read some of them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = [f"{stem}-{who}" for stem in ("orders", "cut", "other")]
    for created in admin.create_topics([NewTopic(name, 2, 1) for name in names]).values():
        created.result(TIMEOUT_S)
    producer = Producer({"bootstrap.servers": bootstrap})
    for name in names:
        for number in range(20):
            producer.produce(name, f"{number}", partition=number % 2, timestamp=FIRST_MS + STEP_MS * number)
    assert producer.flush(TIMEOUT_S) == 0, "records were not delivered"
    for group in ("billing", "doomed", "moved", "forgotten"):
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{group}-{who}"})
        offsets = [TopicPartition(f"orders-{who}", 0, 4), TopicPartition(f"orders-{who}", 1, 10)]
        consumer.commit(offsets=offsets, asynchronous=False)
        consumer.close()


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """Our broker and Apache Kafka, with the same in them."""
    folder = tmp_path_factory.mktemp("sites")
    overrides = {"offsets.topic.num.partitions": "4", "transaction.state.log.num.partitions": "4"}
    with MainstemNode(overrides=overrides | {"node.id": "1"}) as ours, KafkaNode(overrides=overrides) as kafka:
        yield prepare("ours", ours.bootstrap, folder), prepare("kafka", kafka.bootstrap, folder)


def member(site: Site, group: str, who: str, protocol: str) -> Consumer:
    """A consumer that has both partitions of a topic."""
    settings = {"bootstrap.servers": site.bootstrap, "group.id": group, "client.id": "the-member"}
    settings |= {"group.protocol": protocol, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([f"orders-{who}"])
    while len(consumer.assignment()) < 2:
        consumer.poll(0.1)
    return consumer


@pytest.fixture(scope="module")
def members(sites: tuple[Site, Site]) -> Iterator[None]:
    """Members of the groups `live`, classic, and `next`, of the consumer protocol, for each runner on each broker."""
    consumers = []
    for site in sites:
        for who in (JAVA, OURS):
            consumers += [member(site, f"live-{who}", who, "classic"), member(site, f"next-{who}", who, "consumer")]
    yield
    for consumer in consumers:
        consumer.close()


class Run:
    """One step by one runner on one broker."""

    def __init__(self, step: Step, who: str, site: Site) -> None:
        self.step = step
        self.label = f"{'Kafka’s tool' if who == JAVA else 'our command'} on {site.name}: {step.line}"
        self.finished: Finished = run_step(step, who, site.bootstrap, site.folders[who])
        self.lines = normalised(self.finished.output, step, who, site.bootstrap)

    @property
    def everything(self) -> str:
        return f"{self.label}\n{self.finished.output}\n{self.finished.errors[-3000:]}"


def compare(step: Step, sites: Sequence[Site]) -> None:
    for site in sites:
        if step.needs is not None and step.needs not in ask_served_versions(site.bootstrap).apis:
            pytest.skip(f"{site.name} does not serve API key {step.needs}")
    with ThreadPoolExecutor(2) as pool:
        wanted = [(who, site) for site in sites for who in (JAVA, OURS)]
        java_ours, ours_ours, java_kafka, ours_kafka = pool.map(lambda pair: Run(step, *pair), wanted)
    codes = {run.label: run.finished.exit_code for run in (java_ours, ours_ours, java_kafka, ours_kafka)}
    assert len(set(codes.values())) == 1, "\n".join([str(codes), java_ours.everything, ours_ours.everything])
    for run in (java_ours, ours_ours, java_kafka, ours_kafka):
        assert step.says in run.finished.output + run.finished.errors, run.everything
    if not step.compares:
        return
    assert ours_ours.lines == java_ours.lines, ours_ours.everything
    assert ours_kafka.lines == java_kafka.lines, ours_kafka.everything
    if step.compares_brokers:
        assert without_spacing(java_ours.lines) == without_spacing(java_kafka.lines), java_ours.everything


def named(steps: Sequence[Step]) -> list[pytest.param]:
    return [pytest.param(step, id=step.line.replace("kafka-", "").replace(" ", "_")[:100]) for step in steps]


@pytest.mark.parametrize("step", named(GROUP_STEPS))
def test_groups(step: Step, sites: tuple[Site, Site]) -> None:
    compare(step, sites)


@pytest.mark.parametrize("step", named(LIVE_STEPS))
def test_groups_with_members(step: Step, sites: tuple[Site, Site], members: None) -> None:
    compare(step, sites)


@pytest.mark.parametrize("step", named(TOPIC_STEPS))
def test_topics(step: Step, sites: tuple[Site, Site]) -> None:
    compare(step, sites)


@pytest.mark.parametrize("step", named(CONFIG_STEPS))
def test_configs(step: Step, sites: tuple[Site, Site]) -> None:
    compare(step, sites)


@pytest.mark.parametrize("step", named(OFFSET_STEPS))
def test_offsets_records_and_directories(step: Step, sites: tuple[Site, Site]) -> None:
    compare(step, sites)


@pytest.mark.parametrize("step", named(CLUSTER_STEPS))
def test_cluster_elections_and_moves(step: Step, sites: tuple[Site, Site]) -> None:
    compare(step, sites)


@pytest.fixture(scope="module")
def open_transactions(sites: tuple[Site, Site]) -> Iterator[None]:
    """A transaction with one record for each runner on each broker that has transactions, which nobody ends."""
    producers = []
    for site in sites:
        if END_TXN not in ask_served_versions(site.bootstrap).apis:
            continue
        for who in (JAVA, OURS):
            admin = AdminClient({"bootstrap.servers": site.bootstrap})
            admin.create_topics([NewTopic(f"open-{who}", 1, 1)])[f"open-{who}"].result(TIMEOUT_S)
            producer = Producer({"bootstrap.servers": site.bootstrap, "transactional.id": f"open-{who}"})
            producer.init_transactions(TIMEOUT_S)
            producer.begin_transaction()
            producer.produce(f"open-{who}", "never seen")
            assert producer.flush(TIMEOUT_S) == 0, "the record was not delivered"
            producers.append(producer)
    yield
    del producers


@pytest.mark.parametrize("step", named(TRANSACTION_STEPS))
def test_transactions(step: Step, sites: tuple[Site, Site], open_transactions: None) -> None:
    compare(step, sites)


@pytest.mark.parametrize("step", named(CONSOLE_STEPS))
def test_producers_and_consumers(step: Step, sites: tuple[Site, Site]) -> None:
    compare(step, sites)
