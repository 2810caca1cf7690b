"""kafka-python: groups of several members, and the administrator's view."""

import queue
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import (
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

TIMEOUT_S = 60


class Member(ConsumerRebalanceListener):
    """One consumer of a group and what it owns, in a thread of its own: a member has to poll to take part."""

    def __init__(
        self, changed: threading.Condition, bootstrap: str, group: str, topic: str, **settings: object
    ) -> None:
        self.owned: set[int] = set()
        self.received: list = []
        self._changed = changed
        self._calls: queue.SimpleQueue[Callable[[KafkaConsumer], object] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._bootstrap = bootstrap
        self._settings = {"group_id": group, **settings}
        self._topic = topic
        self._thread = threading.Thread(target=self._run, name=f"member-of-{group}")
        self._thread.start()

    def _run(self) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=200,
            **self._settings,
        )
        consumer.subscribe([self._topic], listener=self)
        while True:
            # kafka-python 3.0 loses the assignment of a leader whose poll times out while it is joining, and
            # then owns nothing until the next rebalance; on Apache Kafka, too. So the poll outlasts a rebalance.
            for records in consumer.poll(timeout_ms=1_000).values():
                with self._changed:
                    self.received.extend(records)
                    self._changed.notify_all()
            if not self._calls.empty():
                call = self._calls.get()
                if call is None:
                    break
                self._answers.put(call(consumer))
        consumer.close()

    def call(self, work: Callable[[KafkaConsumer], object]) -> object:
        """Run something on the consumer, in the only thread that may touch it."""
        self._calls.put(work)
        return self._answers.get(timeout=TIMEOUT_S)

    def close(self) -> None:
        if self._thread.is_alive():
            self._calls.put(None)
            self._thread.join(TIMEOUT_S)
            assert not self._thread.is_alive(), "the member did not leave"

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        with self._changed:
            self.owned -= {each.partition for each in revoked}

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        with self._changed:
            self.owned |= {each.partition for each in assigned}
            self._changed.notify_all()


@pytest.fixture
def changed() -> threading.Condition:
    """Notified whenever a member of the test owns or has received something new."""
    return threading.Condition()


@pytest.fixture
def join(bootstrap: str, changed: threading.Condition) -> Iterator[Callable[..., Member]]:
    members: list[Member] = []

    def start(group: str, topic: str, **settings: object) -> Member:
        members.append(Member(changed, bootstrap, group, topic, **settings))
        return members[-1]

    yield start
    for member in members:
        member.close()


@pytest.fixture
def wait_until(changed: threading.Condition) -> Callable[[str, Callable[[], bool]], None]:
    def wait(what: str, holds: Callable[[], bool]) -> None:
        with changed:
            assert changed.wait_for(holds, TIMEOUT_S), f"after {TIMEOUT_S} s still not true: {what}"

    return wait


def shared(members: list[Member], partitions: int) -> bool:
    """Every partition has exactly one owner and every member owns some."""
    owners = sorted(partition for member in members for partition in member.owned)
    return owners == list(range(partitions)) and all(member.owned for member in members)


def generation(member: Member) -> object:
    return member.call(lambda consumer: consumer.group_metadata().generation_id)


@pytest.fixture
def producer(bootstrap: str) -> Iterator[KafkaProducer]:
    opened = KafkaProducer(bootstrap_servers=bootstrap)
    yield opened
    opened.close()


ASSIGNORS = [
    RangePartitionAssignor,
    RoundRobinPartitionAssignor,
    StickyPartitionAssignor,
    CooperativeStickyAssignor,
]


@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda assignor: assignor.__name__)
def test_partitions_have_one_owner_while_members_join_and_leave(join, new_topic, fresh_name, wait_until, assignor):
    topic, group = new_topic(6), fresh_name()
    settings = {"partition_assignment_strategy": [assignor]}
    first = join(group, topic, **settings)
    wait_until("one member owns all", lambda: shared([first], 6))

    second, third = join(group, topic, **settings), join(group, topic, **settings)
    wait_until("three members share", lambda: shared([first, second, third], 6))

    second.close()
    wait_until("the two left share", lambda: shared([first, third], 6))


def test_a_restarted_member_goes_on_after_its_commit(producer, join, new_topic, fresh_name, wait_until):
    topic, group = new_topic(), fresh_name()
    partition = TopicPartition(topic, 0)
    for future in [producer.send(topic, f"{n}".encode()) for n in range(100)]:
        future.get(TIMEOUT_S)
    before = join(group, topic)
    wait_until("40 records came", lambda: len(before.received) >= 40)
    before.call(lambda consumer: consumer.commit({partition: OffsetAndMetadata(40, "forty is enough", -1)}))
    before.close()

    after = join(group, topic)
    wait_until("the rest came", lambda: len(after.received) >= 60)

    assert [record.value for record in after.received] == [f"{n}".encode() for n in range(40, 100)]
    committed = after.call(lambda consumer: consumer.committed(partition, metadata=True))
    assert (committed.offset, committed.metadata) == (40, "forty is enough")


def test_a_static_member_returns_without_a_rebalance(join, new_topic, fresh_name, wait_until):
    topic, group = new_topic(4), fresh_name()
    first, second = (join(group, topic, group_instance_id=name) for name in ("one", "two"))
    wait_until("two members share", lambda: shared([first, second], 4))
    owned, before = set(second.owned), generation(first)
    second.close()

    returned = join(group, topic, group_instance_id="two")
    wait_until("the member is back", lambda: shared([first, returned], 4))

    assert returned.owned == owned
    assert [generation(first), generation(returned)] == [before, before]


@pytest.fixture
def python_admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    opened = KafkaAdminClient(bootstrap_servers=bootstrap)
    yield opened
    opened.close()


def test_topics_are_created_widened_described_and_deleted(python_admin, fresh_name):
    topic = fresh_name()
    created = python_admin.create_topics(
        {topic: {"num_partitions": 2, "replication_factor": 1, "configs": {"retention.ms": "60000"}}}
    )
    (answer,) = created["topics"]
    assert (answer["num_partitions"], answer["replication_factor"]) == (2, 1)
    assert answer["configs"]["retention.ms"]["value"] == "60000"
    with pytest.raises(TopicAlreadyExistsError):
        python_admin.create_topics([topic])

    python_admin.create_partitions({topic: 4})
    with pytest.raises(InvalidPartitionsError):
        python_admin.create_partitions({topic: 3})
    (described,) = python_admin.describe_topics([topic])
    assert sorted(each["partition_index"] for each in described["partitions"]) == [0, 1, 2, 3]
    (by_id,) = python_admin.describe_topics([uuid.UUID(described["topic_id"])])
    assert by_id["name"] == topic

    python_admin.delete_topics([topic])
    assert topic not in python_admin.list_topics()
    with pytest.raises(UnknownTopicOrPartitionError):
        python_admin.delete_topics([topic])


def test_a_topic_created_without_a_shape_takes_the_defaults_of_the_broker(python_admin, fresh_name):
    """Partition count and replication factor -1: KIP-464."""
    (answer,) = python_admin.create_topics([fresh_name()])["topics"]

    assert (answer["num_partitions"], answer["replication_factor"]) == (1, 1)


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ({"num_partitions": 0}, InvalidPartitionsError),
        ({"replication_factor": 0}, InvalidReplicationFactorError),
        ({"replication_factor": 2}, InvalidReplicationFactorError),
        ({"configs": {"retention.ms": "soon"}}, InvalidConfigurationError),
        ({"configs": {"no.such.config": "1"}}, InvalidConfigurationError),
    ],
)
def test_a_topic_that_cannot_be_is_refused(python_admin, fresh_name, shape, error):
    topic = fresh_name()

    with pytest.raises(error):
        python_admin.create_topics({topic: shape})

    assert topic not in python_admin.list_topics()


def test_configs_are_described_altered_and_reset(python_admin, new_topic):
    topic = new_topic()

    def modified() -> dict[str, str]:
        answer = python_admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return {name: entry["value"] for name, entry in answer["topic"][topic].items()}

    def altered(**configs: str) -> ConfigResource:
        named = {name.replace("_", "."): value for name, value in configs.items()}
        return ConfigResource(ConfigResourceType.TOPIC, topic, configs=named)

    before = modified()
    python_admin.alter_configs([altered(retention_ms="7200000", cleanup_policy="compact")])
    assert modified() == {**before, "retention.ms": "7200000", "cleanup.policy": "compact"}
    python_admin.reset_configs([altered(retention_ms="")])
    assert modified() == {**before, "cleanup.policy": "compact"}


def test_the_cluster_is_described(python_admin, bootstrap):
    cluster = python_admin.describe_cluster()

    (broker,) = cluster["brokers"]
    assert f"{broker['host']}:{broker['port']}" == bootstrap
    assert cluster["controller_id"] == broker["broker_id"]
    assert cluster["cluster_id"]


def test_a_group_is_listed_described_altered_and_deleted(python_admin, join, new_topic, fresh_name, wait_until):
    topic, group = new_topic(2), fresh_name()
    partition = TopicPartition(topic, 1)
    member = join(group, topic, client_id="the member")
    wait_until("the member owns all", lambda: shared([member], 2))
    member.call(lambda consumer: consumer.commit({partition: OffsetAndMetadata(3, "note", -1)}))

    (listed,) = [each for each in python_admin.list_groups() if each["group_id"] == group]
    assert (listed["protocol_type"], listed["group_state"], listed["group_type"]) == (
        "consumer",
        "Stable",
        "classic",
    )
    described = python_admin.describe_groups([group])[group]
    assert (described["group_state"], described["error"]) == ("Stable", None)
    assert [each["client_id"] for each in described["members"]] == ["the member"]
    assert python_admin.delete_groups([group]) == {group: "NonEmptyGroupError"}

    member.close()
    python_admin.alter_group_offsets(group, {partition: OffsetAndMetadata(1, "moved", -1)})
    assert python_admin.list_group_offsets(group)[group][partition].offset == 1
    assert python_admin.delete_groups([group]) == {group: "OK"}
    assert group not in [each["group_id"] for each in python_admin.list_groups()]
    assert python_admin.delete_groups([group]) == {group: "GroupIdNotFoundError"}


def test_offsets_of_partitions_are_listed(python_admin, producer, new_topic):
    topic = new_topic()
    for n in range(7):
        producer.send(topic, b"value", timestamp_ms=1_700_000_000_000 + n).get(TIMEOUT_S)
    partition = TopicPartition(topic, 0)

    def offset_of(spec: object) -> int:
        return python_admin.list_partition_offsets({partition: spec})[partition].offset

    assert (offset_of(OffsetSpec.EARLIEST), offset_of(OffsetSpec.LATEST)) == (0, 7)
    assert offset_of(OffsetSpec.MAX_TIMESTAMP) == 6
    assert offset_of(1_700_000_000_003) == 3


def test_single_offsets_of_a_group_are_deleted(python_admin, new_topic, fresh_name, eventually):
    """KIP-496: not those of a topic that a member is subscribed to, and not of topics that do not exist."""
    topic, other, group = new_topic(2), new_topic(), fresh_name()
    bootstrap = python_admin.config["bootstrap_servers"]
    # It may join before it has asked for the topic's partitions, and then notices them with its next refresh only.
    settings = {"enable_auto_commit": False, "metadata_max_age_ms": 500}
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, **settings)
    mine, foreign = TopicPartition(topic, 0), TopicPartition(other, 0)
    eventually("it knows the topic", lambda: bool(consumer.partitions_for_topic(topic)), lambda: None)
    consumer.subscribe([topic])
    eventually("it has partitions", lambda: len(consumer.assignment()) == 2, lambda: consumer.poll(timeout_ms=50))
    consumer.commit({mine: OffsetAndMetadata(3, "", -1)})

    refused = python_admin.delete_group_offsets(group, [mine, foreign, TopicPartition("absent", 0)])
    assert {p: e.__name__ for p, e in refused.items()} == {
        mine: "GroupSubscribedToTopicError",
        foreign: "NoError",
        TopicPartition("absent", 0): "UnknownTopicOrPartitionError",
    }

    consumer.close()
    assert [e.__name__ for e in python_admin.delete_group_offsets(group, [mine]).values()] == ["NoError"]
    assert python_admin.list_group_offsets(group) in ({group: {}}, {})
