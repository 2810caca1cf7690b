"""confluent-kafka (librdkafka): groups of several members that come, go, crash and return."""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import ConsumerGroupState, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from group_member import Member

TIMING = {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 200}


@pytest.fixture
def join(bootstrap: str) -> Iterator[Callable[..., Member]]:
    """Starts members; whoever has not left by the end of the test is closed."""
    members: list[Member] = []

    def start(group: str, topic: str, **settings: object) -> Member:
        members.append(Member(bootstrap, group, [topic], **(TIMING | settings)))
        return members[-1]

    yield start
    for member in members:
        member.consumer.close()


def produce(bootstrap: str, topic: str, values: dict[int, list[str]]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for partition, texts in values.items():
        for text in texts:
            producer.produce(topic, text, partition=partition)
    assert producer.flush(60) == 0, "messages were left undelivered"


def shared(members: list[Member], partitions: int) -> bool:
    """Every partition has exactly one owner and every member owns some."""
    owners = sorted(partition for member in members for _, partition in member.owned)
    return owners == list(range(partitions)) and all(member.owned for member in members)


def poll_all(members: list[Member]) -> Callable[[], None]:
    def step() -> None:
        for member in members:
            member.poll()

    return step


STRATEGIES = ["range", "roundrobin", "cooperative-sticky"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_partitions_have_one_owner_while_members_join_and_leave(join, new_topic, fresh_name, eventually, strategy):
    topic, group = new_topic(6), fresh_name()
    settings = {"partition.assignment.strategy": strategy}
    first = join(group, topic, **settings)
    eventually("one member owns all", lambda: shared([first], 6), poll_all([first]))

    second, third = join(group, topic, **settings), join(group, topic, **settings)
    members = [first, second, third]
    eventually("three members share", lambda: shared(members, 6), poll_all(members))
    assert {len(member.owned) for member in members} == {2}

    second.consumer.close()
    members = [first, third]
    eventually("the two left share", lambda: shared(members, 6), poll_all(members))

    fourth = join(group, topic, **settings)
    members = [first, third, fourth]
    eventually("a newcomer gets a share", lambda: shared(members, 6), poll_all(members))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_record_is_consumed_once_over_a_rebalance(bootstrap, join, new_topic, fresh_name, eventually, strategy):
    topic, group = new_topic(4), fresh_name()
    settings = {"partition.assignment.strategy": strategy}
    early = {partition: [f"{partition}:{n}" for n in range(50)] for partition in range(4)}
    late = {partition: [f"{partition}:{n}" for n in range(50, 100)] for partition in range(4)}
    produce(bootstrap, topic, early)
    first = join(group, topic, **settings)
    eventually("the early records came", lambda: len(first.received) == 200, first.poll)
    first.consumer.commit(asynchronous=False)

    second = join(group, topic, **settings)
    members = [first, second]
    eventually("both own partitions", lambda: shared(members, 4), poll_all(members))
    produce(bootstrap, topic, late)
    both = lambda: len(first.received) + len(second.received) >= 400  # noqa: E731
    eventually("the late records came", both, poll_all(members))

    everything = [text for partition in range(4) for text in early[partition] + late[partition]]
    assert sorted(first.values() + second.values()) == sorted(everything)
    assert second.received, "the second member got nothing"


def test_a_restarted_member_goes_on_after_its_commit(bootstrap, join, new_topic, fresh_name, eventually):
    topic, group = new_topic(), fresh_name()
    produce(bootstrap, topic, {0: [f"{n}" for n in range(100)]})
    before = join(group, topic)
    eventually("40 records came", lambda: len(before.received) >= 40, before.poll)
    before.consumer.commit(offsets=[TopicPartition(topic, 0, 40, metadata="forty is enough")], asynchronous=False)
    before.consumer.close()

    after = join(group, topic)
    eventually("the rest came", lambda: len(after.received) >= 60, after.poll)

    assert after.values() == [f"{n}" for n in range(40, 100)]
    (committed,) = after.consumer.committed([TopicPartition(topic, 0)], timeout=30)
    assert (committed.offset, committed.metadata) == (40, "forty is enough")


def test_groups_on_one_topic_know_nothing_of_each_other(bootstrap, join, new_topic, fresh_name, eventually):
    topic = new_topic()
    produce(bootstrap, topic, {0: [f"{n}" for n in range(20)]})
    members = [join(fresh_name(), topic), join(fresh_name(), topic)]
    eventually("both got all", lambda: all(len(m.received) == 20 for m in members), poll_all(members))

    members[0].consumer.commit(asynchronous=False)

    offsets = [member.consumer.committed([TopicPartition(topic, 0)], timeout=30)[0].offset for member in members]
    assert offsets[0] == 20
    assert offsets[1] < 0, "the other group has committed nothing"


def test_cooperative_members_keep_what_stays_theirs(join, new_topic, fresh_name, eventually):
    """KIP-429: a newcomer costs the owner the partitions that move and nothing else."""
    topic, group = new_topic(6), fresh_name()
    settings = {"partition.assignment.strategy": "cooperative-sticky"}
    first = join(group, topic, **settings)
    eventually("one member owns all", lambda: shared([first], 6), first.poll)

    second = join(group, topic, **settings)
    members = [first, second]
    eventually("two members share", lambda: shared(members, 6), poll_all(members))

    assert sorted(first.revoked) == sorted(second.owned)
    assert len(first.owned) == 3
    assert second.revoked == []


def test_a_static_member_returns_without_a_rebalance(join, admin, new_topic, fresh_name, eventually):
    """KIP-345: the restarted member gets its partitions back and the others notice nothing."""
    topic, group = new_topic(4), fresh_name()
    first, second = (join(group, topic, **{"group.instance.id": name}) for name in ("one", "two"))
    members = [first, second]
    eventually("two members share", lambda: shared(members, 4), poll_all(members))
    owned, assignments, revoked = set(second.owned), first.assignments, list(first.revoked)
    membership = first.consumer.consumer_group_metadata()  # opaque, but it holds the generation
    second.consumer.close()

    returned = join(group, topic, **{"group.instance.id": "two"})
    members = [first, returned]
    eventually("the member is back", lambda: shared(members, 4), poll_all(members))

    assert returned.owned == owned
    assert (first.assignments, first.revoked) == (assignments, revoked)
    assert first.consumer.consumer_group_metadata() == membership
    assert instances_of(admin, group) == {"one", "two"}


def test_a_second_member_with_the_same_instance_id_fences_the_first(join, new_topic, fresh_name, eventually):
    topic, group = new_topic(2), fresh_name()
    first = join(group, topic, **{"group.instance.id": "only one"})
    eventually("the first owns all", lambda: shared([first], 2), first.poll)

    second = join(group, topic, **{"group.instance.id": "only one"})
    members = [first, second]
    eventually("the first is told", lambda: first.fatal is not None, poll_all(members))

    assert "fenced" in first.fatal.str().lower()
    eventually("the second owns all", lambda: shared([second], 2), second.poll)


def test_a_member_that_does_not_come_back_loses_its_partitions(join, admin, new_topic, fresh_name, eventually):
    """A static member leaves without a word, so only the session timeout can tell that it is gone."""
    topic, group = new_topic(4), fresh_name()
    first, second = (join(group, topic, **{"group.instance.id": name}) for name in ("one", "two"))
    eventually("two members share", lambda: shared([first, second], 4), poll_all([first, second]))
    second.consumer.close()
    assert instances_of(admin, group) == {"one", "two"}

    eventually("one member owns all", lambda: shared([first], 4), first.poll)

    assert instances_of(admin, group) == {"one"}


def test_a_described_group_shows_its_members_and_what_they_own(join, admin, new_topic, fresh_name, eventually):
    topic, group = new_topic(4), fresh_name()
    members = [join(group, topic, **{"client.id": f"client-{n}"}) for n in range(2)]
    eventually("two members share", lambda: shared(members, 4), poll_all(members))

    description = admin.describe_consumer_groups([group])[group].result(30)

    assert description.state == ConsumerGroupState.STABLE
    assert description.partition_assignor == "range"
    shown = {
        member.client_id: {(each.topic, each.partition) for each in member.assignment.topic_partitions}
        for member in description.members
    }
    assert shown == {f"client-{n}": member.owned for n, member in enumerate(members)}
    assert all(member.host.strip("/") == "127.0.0.1" for member in description.members)


def instances_of(admin: AdminClient, group: str) -> set[str]:
    description = admin.describe_consumer_groups([group])[group].result(30)
    return {member.group_instance_id for member in description.members}
