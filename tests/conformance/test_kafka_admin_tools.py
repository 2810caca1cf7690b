"""Apache Kafka's own administration tools against us and against Apache Kafka: the same words, the same exit codes.

What the two may differ in is taken out first: ids, addresses, folders, and the sentences of refusals (their kinds stay). Where
`eligible.leader.replicas.version` is on, Kafka sets min.insync.replicas for the whole cluster; we have no such feature.
"""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from peers.tools import Finished, KafkaTools, run_tool

pytestmark = pytest.mark.conformance

_WAIT_S = 60

OURS_ONLY = (
    "coordinator",
    "faults.enable",
    "faults.seed",
    "flush.policy",
    "log.flush.policy",
    "log.storage",
    "metrics.host",
    "metrics.port",
)
OTHER_VALUE = (
    "advertised.listeners",
    "broker.id",
    "controller.listener.names",
    "controller.quorum.voters",
    "group.initial.rebalance.delay.ms",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "min.insync.replicas",
    "node.id",
    "process.roles",
    "share.coordinator.state.topic.min.isr",
    "share.coordinator.state.topic.replication.factor",
)
"""Given to one of the two at start and not to the other, or a default of ours (SKIPPED.md)."""
OTHER_LAYERS = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.min.isr",
    "transaction.state.log.replication.factor",
)
"""Values are the same; the Apache Kafka of these tests is given them, we have them as defaults."""


class Pair:
    """The same tool run on both brokers, side by side. Answers come ours first."""

    def __init__(self, ours: KafkaTools, theirs: KafkaTools) -> None:
        self._tools = (ours, theirs)

    def run(self, tool: str, *arguments: str) -> tuple[Finished, Finished]:
        with ThreadPoolExecutor(2) as side_by_side:
            ours, theirs = side_by_side.map(lambda tools: tools.run(tool, *arguments), self._tools)
        return ours, theirs

    def agree(self, tool: str, *arguments: str) -> str:
        """Both ended alike and said the same; returns what."""
        ours, theirs = self.run(tool, *arguments)
        assert (ours.exit_code, said(ours)) == (theirs.exit_code, said(theirs)), ours.errors
        return said(ours)

    def refuse(self, tool: str, *arguments: str) -> str:
        """Both refused with the same kind of error; returns its name."""
        ours, theirs = self.run(tool, *arguments)
        assert (ours.exit_code, refusal(ours)) == (theirs.exit_code, refusal(theirs)), ours.output + ours.errors
        assert ours.exit_code != 0
        return refusal(ours)


def said(finished: Finished) -> str:
    """The output without ids, addresses and folders, its unordered lists in order."""
    text = re.sub(r"TopicId: \S+", "TopicId: -", finished.output)
    text = re.sub(r'"logDir":"[^"]*"', '"logDir":"-"', text)
    text = re.sub(r"127\.0\.0\.1:\d+", "host", text)
    text = re.sub(r"Configs: min\.insync\.replicas=1\n", "Configs: \n", text)
    lines = [line for line in text.splitlines() if not line.strip().startswith("min.insync.replicas=1 ")]
    return "\n".join(line.rstrip() for line in lines).strip()


def refusal(finished: Finished) -> str:
    found = re.search(r"org\.apache\.kafka\.common\.errors\.(\w+)", finished.output + finished.errors)
    assert found is not None, finished.output + finished.errors
    return found[1]


@pytest.fixture(scope="module")
def pair(tools, kafka_node) -> Pair:
    return Pair(tools, KafkaTools(kafka_node.bootstrap))


@pytest.fixture
def topic(bootstrap, kafka_node, fresh_name: Callable[[], str]) -> str:
    """Of three partitions, on both; ten records lie in the first."""
    name = fresh_name()
    for address in (bootstrap, kafka_node.bootstrap):
        admin = AdminClient({"bootstrap.servers": address})
        admin.create_topics([NewTopic(name, 3, 1)])[name].result(_WAIT_S)
        # One batch, so that it has one size; the topic is known first, or what waits for it is sent apart from what follows.
        producer = Producer({"bootstrap.servers": address, "linger.ms": 10_000})
        producer.list_topics(name, timeout=_WAIT_S)
        for number in range(10):
            producer.produce(name, b"%d" % number, partition=0)
        assert producer.flush(_WAIT_S) == 0
    return name


# --------------------------------------------------------------------------------------------------------------- topics


def test_a_topic_is_described_through_its_pages(pair, topic):
    text = pair.agree("kafka-topics", "--describe", "--topic", topic)
    assert "Elr:" in text, "the tool asks DescribeTopicPartitions only where it is served"
    assert text.count("Leader: 1") == 3


def test_offsets_are_told(pair, topic):
    assert pair.agree("kafka-get-offsets", "--topic", topic) == f"{topic}:0:10\n{topic}:1:0\n{topic}:2:0"


def test_records_are_deleted(pair, topic, tmp_path):
    wanted = {"partitions": [{"topic": topic, "partition": 0, "offset": 4}], "version": 1}
    (tmp_path / "offsets.json").write_text(json.dumps(wanted))
    pair.agree("kafka-delete-records", "--offset-json-file", str(tmp_path / "offsets.json"))
    assert pair.agree("kafka-get-offsets", "--topic", topic, "--time", "-2").splitlines()[0] == f"{topic}:0:4"


# -------------------------------------------------------------------------------------------------------------- configs


def configs(*arguments: str) -> tuple[str, ...]:
    return ("kafka-configs", *arguments)


def test_settings_of_a_topic_are_changed_and_shown(pair, topic):
    where = ("--entity-type", "topics", "--entity-name", topic)
    pair.agree(*configs("--alter", *where, "--add-config", "retention.ms=5000,cleanup.policy=[compact,delete]"))
    assert "retention.ms=5000" in pair.agree(*configs("--describe", *where))
    pair.agree(*configs("--alter", *where, "--delete-config", "retention.ms"))
    assert "retention.ms" not in pair.agree(*configs("--describe", *where))


@pytest.mark.parametrize("setting", ["retention.ms=soon", "no.such.setting=1", "cleanup.policy=shred"])
def test_bad_settings_of_a_topic_are_refused(pair, topic, setting):
    where = ("--entity-type", "topics", "--entity-name", topic)
    assert pair.refuse(*configs("--alter", *where, "--add-config", setting)) == "InvalidConfigurationException"


def test_settings_of_a_topic_that_does_not_exist_are_refused(pair, fresh_name):
    where = ("--entity-type", "topics", "--entity-name", fresh_name())
    kind = pair.refuse(*configs("--alter", *where, "--add-config", "retention.ms=1"))
    assert kind == "UnknownTopicOrPartitionException"


def test_settings_of_brokers_are_changed_and_shown(pair):
    one, everyone = ("--entity-type", "brokers", "--entity-name", "1"), ("--entity-type", "brokers", "--entity-default")
    pair.agree(*configs("--alter", *one, "--add-config", "log.cleaner.backoff.ms=20000"))
    pair.agree(*configs("--alter", *everyone, "--add-config", "log.retention.ms=700000,message.max.bytes=900000"))
    try:
        assert "log.cleaner.backoff.ms=20000" in pair.agree(*configs("--describe", *one))
        assert "message.max.bytes=900000" in pair.agree(*configs("--describe", *everyone))
    finally:
        pair.agree(*configs("--alter", *one, "--delete-config", "log.cleaner.backoff.ms"))
        pair.agree(*configs("--alter", *everyone, "--delete-config", "log.retention.ms,message.max.bytes"))
    assert "backoff" not in pair.agree(*configs("--describe", *one))


@pytest.mark.parametrize("setting", ["num.partitions=3", "message.max.bytes=-1", "log.retention.ms=0"])
def test_bad_settings_of_a_broker_are_refused(pair, setting):
    where = ("--entity-type", "brokers", "--entity-name", "1")
    assert pair.refuse(*configs("--alter", *where, "--add-config", setting)) == "InvalidRequestException"


@pytest.mark.parametrize("kind", ["topics", "brokers"])
def test_all_settings_are_those_of_kafka_with_sources_and_synonyms(pair, topic, kind):
    name = topic if kind == "topics" else "1"
    ours, theirs = pair.run(*configs("--describe", "--all", "--entity-type", kind, "--entity-name", name))
    mine, kafkas = settings(ours.succeeded()), settings(theirs.succeeded())
    assert mine.keys() - set(OURS_ONLY) == kafkas.keys()
    different = {key: (mine[key], row) for key, row in kafkas.items() if mine[key] != row}
    assert {key: rows for key, rows in different.items() if key not in (*OTHER_VALUE, *OTHER_LAYERS)} == {}
    values = {key: [row.partition(" ")[0] for row in different[key]] for key in OTHER_LAYERS if key in different}
    assert {key: rows for key, rows in values.items() if rows[0] != rows[1]} == {}


def settings(finished: Finished) -> dict[str, str]:
    """Each line of the tool by its key: value, sensitivity, synonyms."""
    rows = (line.strip().partition("=") for line in finished.output.splitlines() if line.startswith("  "))
    return {key: rest for key, _, rest in rows}


def test_settings_of_groups_are_changed_and_shown(pair, fresh_name):
    name = fresh_name()
    where = ("--entity-type", "groups", "--entity-name", name)
    pair.agree(*configs("--alter", *where, "--add-config", "consumer.session.timeout.ms=50000"))
    assert "consumer.session.timeout.ms=50000" in pair.agree(*configs("--describe", *where))
    assert pair.agree(*configs("--describe", "--all", *where)).count("sensitive=false") == 10
    assert f"group {name}" in pair.agree(*configs("--describe", "--entity-type", "groups"))
    pair.agree(*configs("--alter", *where, "--delete-config", "consumer.session.timeout.ms"))
    bad = "consumer.session.timeout.ms=1"
    assert pair.refuse(*configs("--alter", *where, "--add-config", bad)) == "InvalidConfigurationException"


def test_client_metrics_are_changed_and_shown(pair, fresh_name):
    name = fresh_name()
    metrics = ("--name", name, "--metrics", "org.apache.kafka.producer.", "--interval", "1000")
    pair.agree("kafka-client-metrics", "--alter", *metrics)
    assert "interval.ms=1000" in pair.agree("kafka-client-metrics", "--describe", "--name", name)
    assert name in pair.agree("kafka-client-metrics", "--list")
    pair.agree("kafka-client-metrics", "--delete", "--name", name)
    assert name not in pair.agree("kafka-client-metrics", "--list")


def test_levels_of_loggers_are_changed_and_shown(pair, tools):
    where = ("--entity-type", "broker-loggers", "--entity-name", "1")
    pair.agree(*configs("--alter", *where, "--add-config", "root=ERROR"))
    try:
        shown = tools.run(*configs("--describe", *where)).succeeded().output
        assert "root=ERROR" in shown
        assert "storage=ERROR" in shown
    finally:
        pair.agree(*configs("--alter", *where, "--add-config", "root=INFO"))
    assert pair.refuse(*configs("--alter", *where, "--add-config", "root=LOUD")) == "InvalidConfigurationException"


def test_quotas_and_credentials_are_none_and_cannot_be_made(pair, tools):
    for kind in ("users", "clients", "ips"):
        assert pair.agree(*configs("--describe", "--entity-type", kind)) == ""
    for setting in ("producer_byte_rate=1024", "SCRAM-SHA-256=[password=secret]"):
        refused = tools.run(
            *configs("--alter", "--entity-type", "users", "--entity-name", "a", "--add-config", setting)
        )
        assert refused.exit_code != 0
        assert refusal(refused) in ("PolicyViolationException", "UnsupportedSaslMechanismException")


# --------------------------------------------------------------------------------------------------------------- replicas


@pytest.fixture
def assignment(topic, tmp_path) -> Path:
    rows = [{"topic": topic, "partition": number, "replicas": [1], "log_dirs": ["any"]} for number in range(3)]
    path = tmp_path / "assignment.json"
    path.write_text(json.dumps({"version": 1, "partitions": rows}))
    return path


@pytest.mark.parametrize("throttle", [(), ("--throttle", "1000000")])
def test_a_reassignment_to_where_everything_is_succeeds(pair, topic, assignment, throttle):
    reassign = ("kafka-reassign-partitions", "--reassignment-json-file", str(assignment))
    assert "Successfully started" in pair.agree(*reassign, "--execute", *throttle)
    assert pair.agree(*reassign, "--verify").count("is completed") == 3
    assert pair.agree("kafka-reassign-partitions", "--list") == "No partition reassignments found."
    assert "None of the specified" in pair.agree(*reassign, "--cancel")


def test_a_reassignment_is_generated(pair, topic, tmp_path):
    path = tmp_path / "topics.json"
    path.write_text(json.dumps({"topics": [{"topic": topic}], "version": 1}))
    text = pair.agree(
        "kafka-reassign-partitions", "--topics-to-move-json-file", str(path), "--broker-list", "1", "--generate"
    )
    assert text.count('"replicas":[1]') == 6


def test_a_reassignment_to_a_broker_that_does_not_exist_is_refused(pair, topic, assignment):
    assignment.write_text(assignment.read_text().replace("[1]", "[2]"))
    ours, theirs = pair.run("kafka-reassign-partitions", "--reassignment-json-file", str(assignment), "--execute")
    assert ours.exit_code == theirs.exit_code == 1
    assert "Unknown broker id 2" in ours.output + ours.errors


def test_elections_are_not_needed(pair, topic, fresh_name):
    one = ("--topic", topic, "--partition", "0")
    for kind in ("preferred", "unclean"):
        text = pair.agree("kafka-leader-election", "--election-type", kind, *one)
        assert text == f"Valid replica already elected for partitions {topic}-0"
    assert pair.agree("kafka-leader-election", "--election-type", "preferred", "--all-topic-partitions") == ""
    unknown = ("--topic", fresh_name(), "--partition", "0")
    kind = pair.refuse("kafka-leader-election", "--election-type", "preferred", *unknown)
    assert kind == "UnknownTopicOrPartitionException"


def test_log_directories_are_described(pair, topic):
    ours, theirs = pair.run("kafka-log-dirs", "--describe", "--topic-list", topic)
    sizes = [log_dir_sizes(finished.succeeded()) for finished in (ours, theirs)]
    assert sizes[0] == sizes[1]
    assert sizes[0][f"{topic}-0"] > 0
    assert sizes[0][f"{topic}-1"] == 0


def log_dir_sizes(finished: Finished) -> dict[str, int]:
    """Bytes of each partition, by name."""
    described = json.loads(finished.lines()[-1])
    (broker,) = described["brokers"]
    (directory,) = broker["logDirs"]
    assert (broker["broker"], directory["error"]) == (1, None)
    assert {(row["offsetLag"], row["isFuture"]) for row in directory["partitions"]} == {(0, False)}
    return {row["partition"]: row["size"] for row in directory["partitions"]}


# --------------------------------------------------------------------------------------------------- cluster and security


def test_the_cluster_has_an_id_and_a_live_broker_stays(bootstrap):
    found = run_tool("kafka-cluster", ["cluster-id", "--bootstrap-server", bootstrap]).succeeded().output
    assert re.fullmatch(r"Cluster ID: [\w-]{22}\n", found)
    listed = run_tool("kafka-cluster", ["list-endpoints", "--bootstrap-server", bootstrap]).succeeded().lines()
    assert listed[-1].split()[0] == "1"
    gone = run_tool("kafka-cluster", ["unregister", "--bootstrap-server", bootstrap, "--id", "7"])
    assert (gone.exit_code, refusal(gone)) == (1, "BrokerIdNotRegisteredException")


def test_features_are_told_and_what_is_not_supported_is_refused(pair, tools):
    ours, theirs = pair.run("kafka-features", "describe")
    assert set(ours.succeeded().lines()) <= {
        re.sub(r"Epoch: \d+", "Epoch: 0", line) for line in theirs.succeeded().lines()
    }
    refused = tools.run("kafka-features", "upgrade", "--feature", "metadata.version=27")
    assert refused.exit_code == 1
    assert "Could not upgrade metadata.version to 27." in refused.output


def test_rules_need_an_authorizer(pair, topic):
    assert pair.refuse("kafka-acls", "--list") == "SecurityDisabledException"
    rule = ("--allow-principal", "User:a", "--operation", "Read", "--topic", topic)
    assert pair.refuse("kafka-acls", "--add", *rule) == "SecurityDisabledException"


def test_there_is_no_quorum_to_describe(tools):
    refused = tools.run("kafka-metadata-quorum", "describe", "--status")
    assert refused.exit_code == 1
    assert refusal(refused) == "UnsupportedVersionException"
