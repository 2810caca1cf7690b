"""kafka-topics.sh, kafka-configs.sh and kafka-get-offsets.sh of Apache Kafka 4.1."""

import re

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import ConfigResource, ResourceType

pytestmark = pytest.mark.conformance

OUR_OWN_TOPIC_CONFIGS = {"flush.policy"}


def described(tools, topic: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The summary and the partitions `kafka-topics --describe` prints, each as the fields it names."""
    lines = tools.run("kafka-topics", "--describe", "--topic", topic).succeeded().lines()
    fields = [dict(re.findall(r"(\w+): (\S*)", line)) for line in lines]
    return fields[0], fields[1:]


def test_a_topic_is_created_and_described(tools, fresh_name):
    topic = fresh_name()
    created = tools.run(
        "kafka-topics", "--create", "--topic", topic, "--partitions", "3", "--config", "retention.ms=60000"
    )
    assert created.succeeded().lines() == [f"Created topic {topic}."]

    summary, partitions = described(tools, topic)

    assert (summary["Topic"], summary["PartitionCount"], summary["ReplicationFactor"]) == (topic, "3", "1")
    assert re.fullmatch(r"[\w-]{22}", summary["TopicId"])
    assert "retention.ms=60000" in summary["Configs"].split(",")
    shown = [(each["Partition"], each["Leader"] == each["Replicas"] == each["Isr"]) for each in partitions]
    assert shown == [("0", True), ("1", True), ("2", True)]


def test_a_topic_cannot_be_created_twice(tools, new_topic):
    topic = new_topic()

    again = tools.run("kafka-topics", "--create", "--topic", topic)
    tolerant = tools.run("kafka-topics", "--create", "--topic", topic, "--if-not-exists")

    assert (again.exit_code, tolerant.exit_code) == (1, 0)
    assert again.lines() == [f"Error while executing topic command : Topic '{topic}' already exists."]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--partitions", "1", "--replication-factor", "7"], "InvalidReplicationFactorException"),
        (["--config", "retention.ms=soon"], "retention.ms"),
    ],
)
def test_a_topic_that_cannot_be_is_refused(tools, fresh_name, arguments, complaint):
    refused = tools.run("kafka-topics", "--create", "--topic", fresh_name(), *arguments)

    assert refused.exit_code == 1
    assert complaint in refused.errors


def test_topics_are_listed_widened_and_deleted(tools, new_topic):
    kept, deleted = new_topic(), new_topic(2)
    listed = tools.run("kafka-topics", "--list").succeeded().lines()
    assert {kept, deleted} <= set(listed)

    tools.run("kafka-topics", "--alter", "--topic", kept, "--partitions", "4").succeeded()
    assert len(described(tools, kept)[1]) == 4
    narrowed = tools.run("kafka-topics", "--alter", "--topic", kept, "--partitions", "2")
    assert narrowed.exit_code == 1
    assert "InvalidPartitionsException" in narrowed.errors
    assert kept in narrowed.errors

    tools.run("kafka-topics", "--delete", "--topic", deleted).succeeded()
    listed = tools.run("kafka-topics", "--list").succeeded().lines()
    assert kept in listed
    assert deleted not in listed
    assert tools.run("kafka-topics", "--describe", "--topic", deleted).exit_code == 1


def topic_overrides(tools, topic: str) -> dict[str, str]:
    printed = tools.run("kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", topic)
    return dict(re.findall(r"^  (\S+?)=(.*?) sensitive=", printed.succeeded().output, re.MULTILINE))


def test_topic_configs_are_altered_and_described(tools, new_topic):
    topic = new_topic()
    before = topic_overrides(tools, topic)
    alter = ["kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", topic]

    added = tools.run(*alter, "--add-config", "retention.ms=60000,cleanup.policy=[compact,delete]")
    assert added.succeeded().lines() == [f"Completed updating config for topic {topic}."]
    changed = {"retention.ms": "60000", "cleanup.policy": "compact,delete"}
    assert topic_overrides(tools, topic) == {**before, **changed}

    tools.run(*alter, "--delete-config", "retention.ms,cleanup.policy").succeeded()
    assert topic_overrides(tools, topic) == before
    refused = tools.run(*alter, "--add-config", "retention.ms=soon")
    assert refused.exit_code == 1
    assert "InvalidConfigurationException" in refused.errors
    assert "retention.ms" in refused.errors
    assert topic_overrides(tools, topic) == before


def test_broker_configs_are_described(tools, admin):
    (broker,) = admin.describe_cluster().result(30).nodes

    printed = tools.run(
        "kafka-configs", "--describe", "--all", "--entity-type", "brokers", "--entity-name", str(broker.id)
    ).succeeded()

    shown = dict(re.findall(r"^  (\S+?)=(.*?) sensitive=", printed.output, re.MULTILINE))
    assert shown["message.max.bytes"] == "1048588"
    assert shown["num.partitions"] == "1"
    assert shown["listeners"] != ""


def test_the_configs_of_a_new_topic_are_those_of_kafka(admin, new_topic, kafka_node, fresh_name):
    """Names, values and kinds; what we add is ours by name, and nothing is missing."""
    from confluent_kafka.admin import AdminClient, NewTopic

    theirs, topic = AdminClient({"bootstrap.servers": kafka_node.bootstrap}), fresh_name()
    theirs.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)

    def shown(client, name: str) -> dict[str, tuple]:
        resource = ConfigResource(ResourceType.TOPIC, name)
        entries = client.describe_configs([resource])[resource].result(30)
        return {key: (each.value, each.is_sensitive, each.is_read_only) for key, each in entries.items()}

    ours = shown(admin, new_topic())
    added = OUR_OWN_TOPIC_CONFIGS & set(ours)
    assert {key: value for key, value in ours.items() if key not in added} == shown(theirs, topic)


def test_offsets_are_shown_for_every_kind_of_question(tools, bootstrap, new_topic):
    topic = new_topic(2)
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(5):
        producer.produce(topic, b"value", partition=1, timestamp=1_700_000_000_000 + 1_000 * n)
    assert producer.flush(30) == 0, "messages were left undelivered"

    def shown(time: str) -> list[str]:
        return tools.run("kafka-get-offsets", "--topic", topic, "--time", time).succeeded().lines()

    assert shown("latest") == [f"{topic}:0:0", f"{topic}:1:5"]
    assert shown("earliest") == [f"{topic}:0:0", f"{topic}:1:0"]
    assert f"{topic}:1:4" in shown("max-timestamp")
    assert f"{topic}:1:3" in shown("1700000002500")


def test_an_auto_created_topic_is_described_like_any_other(tools, bootstrap, admin, fresh_name):
    topic = fresh_name()
    producer = Producer({"bootstrap.servers": bootstrap})
    delivered = []
    producer.produce(topic, b"value", on_delivery=lambda error, message: delivered.append(error))
    assert producer.flush(30) == 0, "messages were left undelivered"
    assert delivered == [None]

    summary, partitions = described(tools, topic)

    assert (summary["PartitionCount"], len(partitions)) == ("1", 1)
    assert TopicPartition(topic, 0).topic == summary["Topic"]
