"""The shell around the transaction coordinator: producer ids, markers, restarts, and coordinators that go away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from mainstem.core.txn.commands import AddPartitions, EndTransaction, InitProducerId, ListTransactions
from mainstem.core.txn.records import TransactionState
from mainstem.core.txn.results import PartitionsResult, ProducerResult
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import TRANSACTION_STATE_TOPIC
from mainstem.runtime.coordinator_shard import EndMarker
from mainstem.runtime.coordinator_topic import as_it_is, settled
from mainstem.runtime.transaction_verification import Writer
from mainstem.runtime.transactions import Transactions

E, S = ErrorCode, TransactionState
ID = "tx"
A, B = TopicPartition("a", 0), TopicPartition("b", 1)


class FakeIds:
    def __init__(self) -> None:
        self.taken = 0

    async def take(self) -> int:
        self.taken += 1
        return 100 + self.taken


class FakeMarkers:
    """Markers are written when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[TopicPartition, EndMarker, Callable[[ErrorCode], None]]] = []

    def write(self, partition: TopicPartition, marker: EndMarker, done: Callable[[ErrorCode], None]) -> None:
        self.asked.append((partition, marker, done))

    def answer(self, error: ErrorCode = E.NONE) -> list[TopicPartition]:
        asked, self.asked = self.asked, []
        for _, _, done in asked:
            done(error)
        return [partition for partition, _, _ in asked]


class World:
    def __init__(self, cluster: Any, time: Any) -> None:
        self.cluster, self.time = cluster, time
        self.ids, self.markers, self.log = FakeIds(), FakeMarkers(), Lines()
        self.transactions = self.made()

    def made(self) -> Transactions:
        config = BrokerConfig.from_texts({"node.id": "1", "transaction.state.log.num.partitions": "4"})
        return Transactions(
            config,
            self.cluster,
            self.cluster,
            self.ids,  # type: ignore[arg-type] - a fake
            self.markers,
            self.time,
            self.log,
            scheduler=self.time,
        )

    @property
    def partition(self) -> Any:
        """Of the log that the id belongs to."""
        return self.cluster.hosted[TRANSACTION_STATE_TOPIC, self.transactions._topic.partition_for(ID)]

    async def init(self) -> ProducerResult:
        return await self.transactions.init_producer_id(InitProducerId(transactional_id=ID, timeout_ms=60_000))

    async def add(self, producer: ProducerResult, *partitions: TopicPartition) -> ErrorCode:
        command = AddPartitions(
            transactional_id=ID,
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            partitions=partitions,
            client_version=2,
        )
        (result,) = await settled([self.transactions.submit(command, as_it_is)])
        assert isinstance(result, PartitionsResult)
        return result.error

    def end(self, producer: ProducerResult, *, commit: bool = True) -> EndTransaction:
        return EndTransaction(
            transactional_id=ID,
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            is_commit=commit,
            client_version=2,
        )

    async def state(self) -> TransactionState:
        listed = await self.transactions.list_transactions(ListTransactions())
        (found,) = listed.transactions
        return found.state


class Lines:
    def __init__(self) -> None:
        self.events: list[str] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **facts: self.events.append(event)


@pytest.fixture
async def world(make_cluster: Any, virtual_time: Any) -> Any:
    made = World(make_cluster(), virtual_time)
    for topic in ("a", "b", TRANSACTION_STATE_TOPIC):
        made.cluster.create(topic)
    yield made
    await made.transactions.close()


async def test_an_id_is_taken_only_where_one_is_needed(world: World) -> None:
    first = await world.init()
    second = await world.init()
    assert (first.producer_id, first.producer_epoch) == (101, 0)
    assert (second.producer_id, second.producer_epoch, world.ids.taken) == (101, 1, 1)


async def test_markers_wait_until_the_decision_is_committed(world: World) -> None:
    producer = await world.init()
    await world.add(producer, A, B)
    world.partition.is_held = True
    ending = asyncio.ensure_future(world.transactions.end(world.end(producer)))
    await asyncio.sleep(0)
    assert world.markers.asked == []
    world.partition.commit()
    assert (await ending).producer_epoch == 1
    marker = EndMarker(101, 1, 0, is_commit=True)
    assert [(p, m) for p, m, _ in world.markers.asked] == [(A, marker), (B, marker)]


async def test_the_transaction_is_complete_with_its_last_marker(world: World) -> None:
    producer = await world.init()
    await world.add(producer, A, B)
    await world.transactions.end(world.end(producer))
    (_, _, first), (_, _, last) = world.markers.asked
    first(E.NONE)
    assert await world.state() is S.PREPARE_COMMIT
    last(E.NONE)
    assert await world.state() is S.COMPLETE_COMMIT


@pytest.mark.parametrize(
    "error", [E.NOT_LEADER_OR_FOLLOWER, E.NOT_ENOUGH_REPLICAS, E.KAFKA_STORAGE_ERROR, E.UNKNOWN_TOPIC_OR_PARTITION]
)
async def test_a_marker_that_cannot_be_written_is_tried_again(world: World, error: ErrorCode) -> None:
    producer = await world.init()
    await world.add(producer, A)
    await world.transactions.end(world.end(producer))
    for _ in range(3):
        assert world.markers.answer(error) == [A]
        assert world.markers.asked == []
        world.time.advance(100)
    assert await world.state() is S.PREPARE_COMMIT
    world.markers.answer()
    assert await world.state() is S.COMPLETE_COMMIT


async def test_a_partition_that_was_deleted_needs_none(world: World) -> None:
    producer = await world.init()
    await world.add(producer, A)
    await world.transactions.end(world.end(producer))
    world.cluster.image = type(world.cluster.image)(
        topics={name: topic for name, topic in world.cluster.image.topics.items() if name != "a"}
    )
    world.markers.answer(E.UNKNOWN_TOPIC_OR_PARTITION)
    assert await world.state() is S.COMPLETE_COMMIT


@pytest.mark.parametrize("error", [E.INVALID_PRODUCER_EPOCH, E.TRANSACTION_COORDINATOR_FENCED])
async def test_a_marker_that_is_fenced_ends_it(world: World, error: ErrorCode) -> None:
    producer = await world.init()
    await world.add(producer, A, B)
    await world.transactions.end(world.end(producer))
    world.markers.answer(error)
    world.time.advance(10_000)
    assert world.markers.asked == []
    assert await world.state() is S.PREPARE_COMMIT
    assert "transaction.marker_fenced" in world.log.events


async def test_a_coordinator_that_comes_back_writes_the_markers(world: World) -> None:
    producer = await world.init()
    await world.add(producer, A)
    await world.transactions.end(world.end(producer))
    await world.transactions.close()
    old = world.markers.answer(E.NONE)
    assert old == [A], "what the old one hears is of no use to it"
    world.transactions = world.made()
    await world.transactions._topic.ready(ID)
    assert world.markers.answer() == [A]
    assert await world.state() is S.COMPLETE_COMMIT


async def test_a_coordinator_that_went_away_tries_no_more(world: World) -> None:
    """Its late marker could end the producer's next transaction."""
    producer = await world.init()
    await world.add(producer, A)
    await world.transactions.end(world.end(producer))
    world.markers.answer(E.NOT_LEADER_OR_FOLLOWER)
    world.transactions._runtime.unload(world.transactions._topic.partition_for(ID))
    world.time.advance(10_000)
    assert world.markers.asked == []


async def test_an_empty_id_is_no_id(world: World) -> None:
    command = InitProducerId(transactional_id="", timeout_ms=1)
    assert (await world.transactions.init_producer_id(command)).error is E.INVALID_REQUEST


async def test_another_broker_is_asked_for_what_it_leads(world: World) -> None:
    index = world.transactions._topic.partition_for(ID)
    registrations = list(world.cluster.image.topics[TRANSACTION_STATE_TOPIC].partitions)
    registrations[index] = world.cluster.registration(index, 2)
    elsewhere = replace(world.cluster.image.topics[TRANSACTION_STATE_TOPIC], partitions=tuple(registrations))
    world.cluster.image.topics[TRANSACTION_STATE_TOPIC] = elsewhere
    assert (await world.init()).error is E.NOT_COORDINATOR


async def test_a_transaction_that_times_out_is_aborted(world: World) -> None:
    producer = await world.init()
    await world.add(producer, A)
    world.time.advance(59_000)
    assert world.markers.asked == []
    world.time.advance(12_000)
    ((partition, marker, _),) = world.markers.asked
    assert (partition, marker.is_commit, marker.producer_epoch) == (A, False, 1)


async def test_verifying_is_asking_and_adding_is_writing(world: World) -> None:
    producer = await world.init()
    told: list[Any] = []
    ask = world.transactions.add_or_verify
    ask(Writer(ID, producer.producer_id, producer.producer_epoch, adds=False), [A], told.append)
    ask(Writer(ID, producer.producer_id, producer.producer_epoch, adds=True), [A], told.append)
    ask(Writer(ID, producer.producer_id, producer.producer_epoch, adds=False), [A, B], told.append)
    ask(Writer(ID, producer.producer_id, producer.producer_epoch + 1, adds=True), [A], told.append)
    assert told == [
        {A: E.TRANSACTION_ABORTABLE},
        {A: E.NONE},
        {A: E.NONE, B: E.TRANSACTION_ABORTABLE},
        {A: E.PRODUCER_FENCED},
    ]
