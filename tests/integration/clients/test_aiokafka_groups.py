"""aiokafka, which Faust stands on: groups of several members, and the administrator's view."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import InvalidPartitionsError
from aiokafka.structs import OffsetAndMetadata

TIMEOUT_S = 60


class Group:
    """The members of one group in one event loop; `changed` is set whenever a member's assignment changes."""

    def __init__(self) -> None:
        self.owned: dict[AIOKafkaConsumer, set[int]] = {}
        self.changed = asyncio.Event()

    async def shared(self, partitions: int) -> None:
        """Wait until every partition has exactly one owner and every member owns some."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                self.changed.clear()
                owners = sorted(partition for owned in self.owned.values() for partition in owned)
                if owners == list(range(partitions)) and all(self.owned.values()):
                    return
                await self.changed.wait()


class Watch(ConsumerRebalanceListener):
    def __init__(self, group: Group, consumer: AIOKafkaConsumer) -> None:
        self._group = group
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._group.owned[self._consumer] -= {each.partition for each in revoked}

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._group.owned[self._consumer] = {each.partition for each in assigned}
        self._group.changed.set()


@pytest.fixture
async def join(bootstrap: str) -> AsyncIterator[Callable]:
    started: list[tuple[Group, AIOKafkaConsumer]] = []

    async def start(group: Group, group_id: str, topic: str, **settings: object) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group_id,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=200,
            **settings,
        )
        group.owned[consumer] = set()
        consumer.subscribe([topic], listener=Watch(group, consumer))
        started.append((group, consumer))
        await consumer.start()
        return consumer

    yield start
    for group, consumer in started:
        if consumer in group.owned:
            await consumer.stop()


async def leave(group: Group, consumer: AIOKafkaConsumer) -> None:
    await consumer.stop()
    del group.owned[consumer]


ASSIGNORS = [RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor]


@pytest.mark.parametrize("assignor", ASSIGNORS, ids=lambda assignor: assignor.name)
async def test_partitions_have_one_owner_while_members_join_and_leave(join, new_topic, fresh_name, assignor):
    topic, group_id, group = new_topic(6), fresh_name(), Group()
    settings = {"partition_assignment_strategy": [assignor]}
    await join(group, group_id, topic, **settings)
    await group.shared(6)
    second = await join(group, group_id, topic, **settings)
    await join(group, group_id, topic, **settings)
    await group.shared(6)
    assert {len(owned) for owned in group.owned.values()} == {2}

    await leave(group, second)
    await group.shared(6)
    await join(group, group_id, topic, **settings)
    await group.shared(6)


async def test_a_restarted_member_goes_on_after_its_commit(bootstrap, join, new_topic, fresh_name):
    topic, group_id, group = new_topic(), fresh_name(), Group()
    partition = TopicPartition(topic, 0)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await asyncio.gather(*[await producer.send(topic, f"{n}".encode()) for n in range(100)])
    before = await join(group, group_id, topic)
    async with asyncio.timeout(TIMEOUT_S):
        for _ in range(40):
            await before.getone()
    await before.commit({partition: OffsetAndMetadata(40, "forty is enough")})
    await leave(group, before)

    after = await join(group, group_id, topic)
    async with asyncio.timeout(TIMEOUT_S):
        values = [(await after.getone()).value for _ in range(60)]

    assert values == [f"{n}".encode() for n in range(40, 100)]
    assert await after.committed(partition) == 40


async def test_every_record_is_consumed_once_over_a_rebalance(bootstrap, join, new_topic, fresh_name):
    topic, group_id, group = new_topic(4), fresh_name(), Group()
    first = await join(group, group_id, topic)
    await group.shared(4)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        sent = [await producer.send(topic, f"{n}".encode(), partition=n % 4) for n in range(200)]
        await asyncio.gather(*sent)
        async with asyncio.timeout(TIMEOUT_S):
            early = [(await first.getone()).value for _ in range(200)]
        await first.commit()

        second = await join(group, group_id, topic)
        await group.shared(4)
        sent = [await producer.send(topic, f"{n}".encode(), partition=n % 4) for n in range(200, 400)]
        await asyncio.gather(*sent)
    async with asyncio.timeout(TIMEOUT_S):
        late = [(await member.getone()).value for member in (first, second) for _ in range(100)]

    assert sorted(early + late) == sorted(f"{n}".encode() for n in range(400))


async def test_a_static_member_returns_to_its_partitions(join, new_topic, fresh_name):
    topic, group_id, group = new_topic(4), fresh_name(), Group()
    await join(group, group_id, topic, group_instance_id="one")
    second = await join(group, group_id, topic, group_instance_id="two")
    await group.shared(4)
    owned = group.owned[second]
    await leave(group, second)

    returned = await join(group, group_id, topic, group_instance_id="two")
    await group.shared(4)

    assert group.owned[returned] == owned


@pytest.fixture
async def aio_admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    yield admin
    await admin.close()


async def test_topics_are_created_widened_described_and_deleted(aio_admin, fresh_name):
    topic = fresh_name()
    created = await aio_admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "60000"})])
    assert [error[1] for error in created.topic_errors] == [0]

    await aio_admin.create_partitions({topic: NewPartitions(3)})
    with pytest.raises(InvalidPartitionsError):
        await aio_admin.create_partitions({topic: NewPartitions(2)})
    (described,) = await aio_admin.describe_topics([topic])
    assert sorted(each["partition"] for each in described["partitions"]) == [0, 1, 2]
    assert topic in await aio_admin.list_topics()

    deleted = await aio_admin.delete_topics([topic])
    assert [code for _, code in deleted.topic_error_codes] == [0]
    assert topic not in await aio_admin.list_topics()


async def test_topic_configs_are_described(aio_admin, new_topic):
    topic = new_topic(config={"cleanup.policy": "compact"})

    (answer,) = await aio_admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])

    ((code, _, _, name, entries),) = answer.resources
    assert (code, name) == (0, topic)
    values = {entry[0]: entry[1] for entry in entries}
    assert (values["cleanup.policy"], values["segment.bytes"]) == ("compact", "1073741824")


async def test_the_cluster_is_described(aio_admin, bootstrap):
    cluster = await aio_admin.describe_cluster()

    (broker,) = cluster["brokers"]
    assert f"{broker['host']}:{broker['port']}" == bootstrap
    assert cluster["controller_id"] == broker["node_id"]
    assert cluster["cluster_id"]


async def test_a_group_is_listed_described_and_its_offsets_shown(aio_admin, join, new_topic, fresh_name):
    topic, group_id, group = new_topic(2), fresh_name(), Group()
    member = await join(group, group_id, topic, client_id="the member")
    await group.shared(2)
    await member.commit({TopicPartition(topic, 1): OffsetAndMetadata(11, "note")})

    assert (group_id, "consumer") in [tuple(each[:2]) for each in await aio_admin.list_consumer_groups()]
    (answer,) = await aio_admin.describe_consumer_groups([group_id])
    ((code, name, state, protocol_type, protocol, members, *_),) = answer.groups
    assert (code, name, state, protocol_type, protocol) == (0, group_id, "Stable", "consumer", "roundrobin")
    assert ["the member" in each for each in members] == [True]
    offsets = await aio_admin.list_consumer_group_offsets(group_id)
    assert offsets == {TopicPartition(topic, 1): OffsetAndMetadata(11, "note")}
