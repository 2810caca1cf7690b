"""confluent-kafka (librdkafka): topics, configs, groups and the cluster, as an administrator sees them."""

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    ElectionType,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

TIMEOUT_S = 30


def refused(future) -> int:
    """The error code a future was refused with."""
    with pytest.raises(KafkaException) as refusal:
        future.result(TIMEOUT_S)
    return refusal.value.args[0].code()


def topic_configs(admin: AdminClient, topic: str) -> dict[str, ConfigEntry]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(TIMEOUT_S)


def change(admin: AdminClient, topic: str, *entries: ConfigEntry) -> None:
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=list(entries))
    admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)


def set_to(name: str, value: str | None, operation: AlterConfigOpType = AlterConfigOpType.SET) -> ConfigEntry:
    return ConfigEntry(name, value, incremental_operation=operation)


def test_a_created_topic_is_described_as_it_was_asked_for(admin, fresh_name):
    topic = fresh_name()
    admin.create_topics([NewTopic(topic, 3, 1, config={"retention.ms": "3600000"})])[topic].result(TIMEOUT_S)

    description = admin.describe_topics(TopicCollection([topic]))[topic].result(TIMEOUT_S)

    assert description.name == topic
    assert not description.is_internal
    (broker,) = admin.describe_cluster().result(TIMEOUT_S).nodes
    shape = [
        (each.id, each.leader.id, [node.id for node in each.replicas], [node.id for node in each.isr])
        for each in description.partitions
    ]
    assert sorted(shape) == [(n, broker.id, [broker.id], [broker.id]) for n in range(3)]
    assert topic_configs(admin, topic)["retention.ms"].value == "3600000"


def test_the_topic_id_stays_and_a_topic_made_again_gets_another(admin, fresh_name, eventually):
    topic = fresh_name()

    def create_and_identify() -> str:
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
        return str(admin.describe_topics(TopicCollection([topic]))[topic].result(TIMEOUT_S).topic_id)

    first = create_and_identify()
    assert str(admin.describe_topics(TopicCollection([topic]))[topic].result(TIMEOUT_S).topic_id) == first
    admin.delete_topics([topic])[topic].result(TIMEOUT_S)

    assert create_and_identify() != first


def test_a_topic_may_be_created_on_named_replicas_only_once(admin, fresh_name):
    topic = fresh_name()
    (broker,) = admin.describe_cluster().result(TIMEOUT_S).nodes
    assignment = [[broker.id], [broker.id]]
    admin.create_topics([NewTopic(topic, 2, replica_assignment=assignment)])[topic].result(TIMEOUT_S)

    again = admin.create_topics([NewTopic(topic, 1, 1)])[topic]

    assert refused(again) == KafkaError.TOPIC_ALREADY_EXISTS


@pytest.mark.parametrize(
    ("partitions", "replicas", "config", "code"),
    [
        (0, 1, {}, KafkaError.INVALID_PARTITIONS),
        (1, 3, {}, KafkaError.INVALID_REPLICATION_FACTOR),
        (1, 1, {"retention.ms": "soon"}, KafkaError.INVALID_CONFIG),
        (1, 1, {"no.such.config": "1"}, KafkaError.INVALID_CONFIG),
        (1, 1, {"cleanup.policy": "shred"}, KafkaError.INVALID_CONFIG),
        (1, 1, {"segment.bytes": "1"}, KafkaError.INVALID_CONFIG),
    ],
)
def test_a_topic_that_cannot_be_is_refused(admin, fresh_name, partitions, replicas, config, code):
    topic = fresh_name()

    created = admin.create_topics([NewTopic(topic, partitions, replicas, config=config)])[topic]

    assert refused(created) == code
    assert topic not in admin.list_topics(timeout=TIMEOUT_S).topics


@pytest.mark.parametrize("name", ["", ".", "..", "white space", "ü", "a" * 250])
def test_a_name_kafka_does_not_allow_is_refused(admin, name):
    assert refused(admin.create_topics([NewTopic(name, 1, 1)])[name]) == KafkaError.TOPIC_EXCEPTION


def test_validating_a_topic_does_not_create_it(admin, fresh_name):
    topic = fresh_name()

    admin.create_topics([NewTopic(topic, 1, 1)], validate_only=True)[topic].result(TIMEOUT_S)

    assert topic not in admin.list_topics(timeout=TIMEOUT_S).topics


def test_a_deleted_topic_is_gone_and_cannot_be_deleted_again(admin, new_topic):
    kept, deleted = new_topic(), new_topic()

    admin.delete_topics([deleted])[deleted].result(TIMEOUT_S)

    assert refused(admin.delete_topics([deleted])[deleted]) == KafkaError.UNKNOWN_TOPIC_OR_PART
    listed = admin.list_topics(timeout=TIMEOUT_S).topics
    assert kept in listed
    assert deleted not in listed


def test_a_topic_made_again_under_its_name_is_empty(bootstrap, admin, fresh_name):
    topic = fresh_name()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused"})
    try:
        for _ in range(2):
            admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
            assert consumer.get_watermark_offsets(TopicPartition(topic, 0), TIMEOUT_S) == (0, 0)
            producer = Producer({"bootstrap.servers": bootstrap})
            producer.produce(topic, b"value", partition=0)
            assert producer.flush(TIMEOUT_S) == 0, "messages were left undelivered"
            assert consumer.get_watermark_offsets(TopicPartition(topic, 0), TIMEOUT_S) == (0, 1)
            admin.delete_topics([topic])[topic].result(TIMEOUT_S)
    finally:
        consumer.close()


def test_partitions_can_be_added_but_never_taken_away(admin, new_topic):
    topic = new_topic(2)

    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(TIMEOUT_S)

    assert len(admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions) == 5
    for count in (5, 3, 1):
        added = admin.create_partitions([NewPartitions(topic, count)])[topic]
        assert refused(added) == KafkaError.INVALID_PARTITIONS


def test_added_partitions_take_records(bootstrap, admin, new_topic):
    topic = new_topic(1)
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(TIMEOUT_S)
    producer = Producer({"bootstrap.servers": bootstrap})
    delivered = []

    producer.produce(topic, b"value", partition=1, on_delivery=lambda error, message: delivered.append(error))

    assert producer.flush(TIMEOUT_S) == 0, "messages were left undelivered"
    assert delivered == [None]


def test_partitions_of_an_unknown_topic_cannot_be_added(admin, fresh_name):
    topic = fresh_name()

    added = admin.create_partitions([NewPartitions(topic, 2)])[topic]

    assert refused(added) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_topic_configs_name_their_source_and_default(admin, new_topic):
    topic = new_topic(config={"retention.ms": "3600000"})

    configs = topic_configs(admin, topic)

    shown = configs["retention.ms"]
    assert (shown.value, shown.source, shown.is_default) == (
        "3600000",
        ConfigSource.DYNAMIC_TOPIC_CONFIG.value,
        False,
    )
    assert (configs["cleanup.policy"].value, configs["cleanup.policy"].is_default) == ("delete", True)
    assert configs["max.message.bytes"].value == "1048588"
    assert configs["segment.bytes"].value == "1073741824"
    assert not any(entry.is_sensitive or entry.is_read_only for entry in configs.values())


def test_broker_configs_are_described(admin):
    (broker,) = admin.describe_cluster().result(TIMEOUT_S).nodes
    resource = ConfigResource(ResourceType.BROKER, str(broker.id))

    configs = admin.describe_configs([resource])[resource].result(TIMEOUT_S)

    assert configs["num.partitions"].value == "1"
    assert configs["message.max.bytes"].value == "1048588"
    assert configs["node.id"].is_read_only


def test_configs_of_an_unknown_topic_are_refused(admin, fresh_name):
    resource = ConfigResource(ResourceType.TOPIC, fresh_name())

    assert refused(admin.describe_configs([resource])[resource]) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_configs_are_set_appended_subtracted_and_deleted(admin, new_topic):
    topic = new_topic()

    change(admin, topic, set_to("retention.ms", "7200000"), set_to("max.message.bytes", "5000"))
    assert topic_configs(admin, topic)["retention.ms"].value == "7200000"
    change(admin, topic, set_to("cleanup.policy", "compact", AlterConfigOpType.APPEND))
    assert topic_configs(admin, topic)["cleanup.policy"].value == "delete,compact"
    change(admin, topic, set_to("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT))
    assert topic_configs(admin, topic)["cleanup.policy"].value == "compact"
    change(admin, topic, set_to("retention.ms", None, AlterConfigOpType.DELETE))

    configs = topic_configs(admin, topic)
    assert (configs["retention.ms"].value, configs["retention.ms"].is_default) == ("604800000", True)
    assert (configs["max.message.bytes"].value, configs["max.message.bytes"].is_default) == ("5000", False)


@pytest.mark.parametrize(
    "entry",
    [
        set_to("retention.ms", "soon"),
        set_to("no.such.config", "1"),
        set_to("cleanup.policy", "shred"),
        set_to("retention.ms", "1", AlterConfigOpType.APPEND),
    ],
    ids=["not a number", "unknown name", "unknown value", "append to what is no list"],
)
def test_a_bad_change_is_refused_and_changes_nothing(admin, new_topic, entry):
    topic = new_topic()
    both = [set_to("max.message.bytes", "5000"), entry]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=both)

    assert refused(admin.incremental_alter_configs([resource])[resource]) == KafkaError.INVALID_CONFIG

    assert topic_configs(admin, topic)["max.message.bytes"].is_default


def test_a_changed_config_is_obeyed_at_once(bootstrap, admin, new_topic):
    topic = new_topic()
    change(admin, topic, set_to("max.message.bytes", "2000"))
    producer = Producer({"bootstrap.servers": bootstrap})
    codes = []

    producer.produce(topic, b"x" * 5_000, on_delivery=lambda error, message: codes.append(error.code()))

    assert producer.flush(TIMEOUT_S) == 0, "messages were left undelivered"
    assert codes == [KafkaError.MSG_SIZE_TOO_LARGE]


def test_the_cluster_is_described(admin, bootstrap):
    cluster = admin.describe_cluster().result(TIMEOUT_S)

    assert cluster.cluster_id == admin.list_topics(timeout=TIMEOUT_S).cluster_id
    assert [f"{node.host}:{node.port}" for node in cluster.nodes] == [bootstrap]
    assert cluster.controller.id == cluster.nodes[0].id


def test_a_group_is_listed_described_altered_and_deleted(bootstrap, admin, new_topic, fresh_name):
    topic, group = new_topic(2), fresh_name()
    committed = [TopicPartition(topic, 0, 5, metadata="note"), TopicPartition(topic, 1, 7)]
    altered = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, committed)])[group]
    altered.result(TIMEOUT_S)

    listing = admin.list_consumer_groups(states={ConsumerGroupState.EMPTY}).result(TIMEOUT_S)
    assert [(each.type, each.state) for each in listing.valid if each.group_id == group] == [
        (ConsumerGroupType.CLASSIC, ConsumerGroupState.EMPTY)
    ]
    assert listing.errors == []
    stable = admin.list_consumer_groups(states={ConsumerGroupState.STABLE}).result(TIMEOUT_S)
    assert group not in [each.group_id for each in stable.valid]

    listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(TIMEOUT_S)
    assert [(each.partition, each.offset, each.metadata) for each in listed.topic_partitions] == [
        (0, 5, "note"),
        (1, 7, None),
    ]

    admin.delete_consumer_groups([group])[group].result(TIMEOUT_S)
    assert refused(admin.delete_consumer_groups([group])[group]) == KafkaError.GROUP_ID_NOT_FOUND
    listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(TIMEOUT_S)
    assert [each.offset for each in listed.topic_partitions if each.offset >= 0] == []


def test_a_group_with_members_is_not_deleted(bootstrap, admin, new_topic, fresh_name, eventually):
    topic, group = new_topic(), fresh_name()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        consumer.subscribe([topic])
        eventually("the member owns the partition", lambda: bool(consumer.assignment()), lambda: consumer.poll(0.05))
        assert refused(admin.delete_consumer_groups([group])[group]) == KafkaError.NON_EMPTY_GROUP
    finally:
        consumer.close()
    admin.delete_consumer_groups([group])[group].result(TIMEOUT_S)


def test_no_election_is_needed(admin, new_topic):
    name = new_topic(2)
    wanted = [TopicPartition(name, 0), TopicPartition(name, 1), TopicPartition(name, 9)]
    elected = admin.elect_leaders(ElectionType.PREFERRED, wanted).result(TIMEOUT_S)
    codes = {where.partition: error.code() for where, error in elected.items()}
    unknown, not_needed = KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.ELECTION_NOT_NEEDED
    assert codes == {0: not_needed, 1: not_needed, 9: unknown}


def test_rules_need_an_authorizer_and_nobody_has_credentials(admin, fresh_name):
    rule = AclBinding(
        ResourceType.TOPIC,
        fresh_name(),
        ResourcePatternType.LITERAL,
        "User:a",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    assert refused(admin.create_acls([rule])[rule]) == KafkaError.SECURITY_DISABLED
    assert admin.describe_user_scram_credentials().result(TIMEOUT_S) == {}
