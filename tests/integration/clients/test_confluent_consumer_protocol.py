"""confluent-kafka with `group.protocol=consumer` (KIP-848): the server assigns, members reconcile in their heartbeats."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupType,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic
from group_member import Member

from mainstem import Broker

DEADLINE_S = 60
# Members of a test call in more often than Kafka would have them, so that a rebalance takes a second and not half a minute.
QUICK = {
    "group.consumer.min.heartbeat.interval.ms": 200,
    "group.consumer.heartbeat.interval.ms": 200,
    "group.consumer.min.session.timeout.ms": 3_000,
    "group.consumer.session.timeout.ms": 3_000,
}


def protocol_settings(settings: dict[str, object]) -> dict[str, object]:
    """Members are of the consumer protocol unless a test says otherwise."""
    protocol = settings.get("group.protocol", "consumer")
    timing = {} if protocol == "consumer" else {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 200}
    return {"group.protocol": protocol, "topic.metadata.refresh.interval.ms": 500, **timing, **settings}


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    given = os.environ.get("MAINSTEM_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    with Broker(QUICK) as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="module")
def admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap})


@pytest.fixture
def join(bootstrap: str) -> Iterator[Callable[..., Member]]:
    members: list[Member] = []

    def start(group: str, *topics: str, at: str = bootstrap, **settings: object) -> Member:
        members.append(Member(at, group, list(topics), **protocol_settings(settings)))
        return members[-1]

    yield start
    for member in members:
        member.consumer.close()


def shared(members: list[Member], topics: dict[str, int]) -> bool:
    """Every partition has exactly one owner and every member owns some."""
    owners = sorted(partition for member in members for partition in member.owned)
    wanted = sorted((topic, index) for topic, count in topics.items() for index in range(count))
    return owners == wanted and all(member.owned for member in members)


def poll_all(*members: Member) -> Callable[[], None]:
    def step() -> None:
        for member in members:
            member.poll()

    return step


def describe(admin: AdminClient, group: str):
    return admin.describe_consumer_groups([group])[group].result(30)


def test_three_members_share_and_take_over_from_who_leaves(join, new_topic, fresh_name, eventually):
    topic, group = new_topic(6), fresh_name()
    first = join(group, topic)
    eventually("one member owns all", lambda: shared([first], {topic: 6}), first.poll)

    second, third = join(group, topic), join(group, topic)
    members = [first, second, third]
    eventually("three members share", lambda: shared(members, {topic: 6}), poll_all(*members))
    assert {len(member.owned) for member in members} == {2}
    assert len(first.revoked) == 4, "it kept what stayed its own"

    second.consumer.close()
    eventually("the two left share", lambda: shared([first, third], {topic: 6}), poll_all(first, third))


@pytest.mark.parametrize("assignor", ["uniform", "range"])
def test_records_are_consumed_once_and_commits_count(bootstrap, join, new_topic, fresh_name, eventually, assignor):
    topic, group = new_topic(4), fresh_name()
    settings = {"group.remote.assignor": assignor}
    first, second = join(group, topic, **settings), join(group, topic, **settings)
    eventually("both own some", lambda: shared([first, second], {topic: 4}), poll_all(first, second))
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(200):
        producer.produce(topic, str(n), partition=n % 4)
    assert producer.flush(DEADLINE_S) == 0
    eventually("all came", lambda: len(first.received) + len(second.received) >= 200, poll_all(first, second))
    values = [int(message.value()) for member in (first, second) for message in member.received]
    assert sorted(values) == list(range(200))
    for member in (first, second):
        member.consumer.commit(asynchronous=False)
        member.consumer.close()

    again = join(group, topic, **settings)
    eventually("one member owns all", lambda: shared([again], {topic: 4}), again.poll)
    offsets = [p.offset for p in again.consumer.committed([TopicPartition(topic, n) for n in range(4)], timeout=30)]

    assert offsets == [50] * 4
    assert again.received == []


def test_a_static_member_returns_to_what_it_had(join, admin, new_topic, fresh_name, eventually):
    topic, group = new_topic(4), fresh_name()
    first, second = (join(group, topic, **{"group.instance.id": name}) for name in ("one", "two"))
    eventually("two members share", lambda: shared([first, second], {topic: 4}), poll_all(first, second))
    owned, revoked = set(second.owned), list(first.revoked)
    second.consumer.close()

    returned = join(group, topic, **{"group.instance.id": "two"})
    eventually("it is back", lambda: shared([first, returned], {topic: 4}), poll_all(first, returned))

    assert returned.owned == owned
    assert first.revoked == revoked
    assert {member.group_instance_id for member in describe(admin, group).members} == {"one", "two"}


def test_an_instance_id_that_is_in_use_is_refused(join, new_topic, fresh_name, eventually):
    topic, group = new_topic(2), fresh_name()
    first = join(group, topic, **{"group.instance.id": "only one"})
    eventually("the first owns all", lambda: shared([first], {topic: 2}), first.poll)

    second = join(group, topic, **{"group.instance.id": "only one"})
    eventually("the second is told", lambda: second.fatal is not None, poll_all(first, second))

    assert "instance id is still used" in second.fatal.str().lower()
    assert shared([first], {topic: 2})


def test_a_regular_expression_finds_topics_that_come_later(join, admin, fresh_name, eventually):
    stem, group = fresh_name(), fresh_name()
    admin.create_topics([NewTopic(f"{stem}-a", 2, 1), NewTopic(f"not-{stem}", 2, 1)])[f"{stem}-a"].result(DEADLINE_S)
    member = join(group, f"^{stem}-.*")
    eventually("it has what is there", lambda: shared([member], {f"{stem}-a": 2}), member.poll)

    admin.create_topics([NewTopic(f"{stem}-b", 3, 1)])[f"{stem}-b"].result(DEADLINE_S)
    both = {f"{stem}-a": 2, f"{stem}-b": 3}
    eventually("it has both", lambda: shared([member], both), member.poll)


def test_new_partitions_are_handed_out(join, admin, new_topic, fresh_name, eventually):
    from confluent_kafka.admin import NewPartitions

    topic, group = new_topic(2), fresh_name()
    members = [join(group, topic), join(group, topic)]
    eventually("two members share", lambda: shared(members, {topic: 2}), poll_all(*members))

    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(DEADLINE_S)

    eventually("they share four", lambda: shared(members, {topic: 4}), poll_all(*members))


def test_a_described_group_shows_its_members_and_what_they_own(join, admin, new_topic, fresh_name, eventually):
    topic, group = new_topic(4), fresh_name()
    members = [join(group, topic, **{"client.id": f"client-{n}"}) for n in range(2)]
    eventually("two members share", lambda: shared(members, {topic: 4}), poll_all(*members))
    eventually(
        "the group is stable", lambda: describe(admin, group).state is ConsumerGroupState.STABLE, poll_all(*members)
    )

    description = describe(admin, group)

    assert (description.type, description.partition_assignor) == (ConsumerGroupType.CONSUMER, "uniform")
    shown = {
        member.client_id: {(each.topic, each.partition) for each in member.assignment.topic_partitions}
        for member in description.members
    }
    assert shown == {f"client-{n}": member.owned for n, member in enumerate(members)}
    listed = {found.group_id: found for found in admin.list_consumer_groups().result().valid}
    assert listed[group].type is ConsumerGroupType.CONSUMER


@pytest.mark.skipif("MAINSTEM_TEST_BOOTSTRAP" in os.environ, reason="this broker is not ours to restart")
def test_a_group_lives_on_when_the_broker_restarts(join, tmp_path: Path, fresh_name, eventually):
    """Members keep what they own: the group is read back from its log, and their next heartbeats find it as it was."""
    group = fresh_name()
    with Broker(QUICK, data=tmp_path) as broker:
        at, port = broker.bootstrap_servers, int(broker.bootstrap_servers.rpartition(":")[2])
        admin = AdminClient({"bootstrap.servers": at})
        admin.create_topics([NewTopic("t", 4, 1)])["t"].result(DEADLINE_S)
        members = [join(group, "t", at=at), join(group, "t", at=at)]
        eventually("two members share", lambda: shared(members, {"t": 4}), poll_all(*members))
        before = describe(admin, group)
        owned, revoked = [set(m.owned) for m in members], [list(m.revoked) for m in members]

    with Broker(QUICK, data=tmp_path, port=port) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for n in range(4):
            producer.produce("t", "after", partition=n)
        assert producer.flush(DEADLINE_S) == 0
        eventually("records come", lambda: sum(len(m.received) for m in members) == 4, poll_all(*members))
        # The old client would wait out its back-off before it tries the new broker.
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        after = describe(admin, group)

    assert [m.owned for m in members] == owned
    assert [m.revoked for m in members] == revoked
    assert {m.member_id for m in after.members} == {m.member_id for m in before.members}


def test_a_live_group_changes_to_the_consumer_protocol_and_back(join, admin, new_topic, fresh_name, eventually):
    """A rolling upgrade and its undoing: members are replaced one by one, and all the time the partitions are shared."""
    topic, group = new_topic(4), fresh_name()
    # librdkafka's cooperative-sticky puts data of its own into assignments, for which Kafka, too, refuses to upgrade a group.
    classic = {"group.protocol": "classic", "partition.assignment.strategy": "range"}
    old = [join(group, topic, **classic), join(group, topic, **classic)]
    eventually("classic members share", lambda: shared(old, {topic: 4}), poll_all(*old))
    assert describe(admin, group).type is ConsumerGroupType.CLASSIC

    new = join(group, topic)
    mixed = [*old, new]
    eventually("both kinds share", lambda: shared(mixed, {topic: 4}), poll_all(*mixed))
    assert describe(admin, group).type is ConsumerGroupType.CONSUMER

    new.consumer.close()
    eventually("the classic ones share again", lambda: shared(old, {topic: 4}), poll_all(*old))
    assert describe(admin, group).type is ConsumerGroupType.CLASSIC
