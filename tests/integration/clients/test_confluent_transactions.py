"""confluent-kafka (librdkafka): transactions as its producer makes them and as read_committed consumers see them."""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

TIMEOUT_S = 30.0
Eventually = Callable[[str, Callable[[], bool], Callable[[], object]], None]


def producer(bootstrap: str, transactional_id: str, **settings: object) -> Producer:
    made = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": transactional_id,
            "error_cb": lambda error: None,
            **settings,
        }
    )
    made.init_transactions(TIMEOUT_S)
    return made


class Reader:
    """A consumer of whole partitions from their beginning, without a group's assignment."""

    def __init__(
        self, bootstrap: str, topic: str, partitions: int = 1, isolation: str = "read_committed", wait_ms: int = 100
    ) -> None:
        self.values: list[str] = []
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "unused",
                "enable.auto.commit": False,
                "isolation.level": isolation,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": wait_ms,
                "socket.timeout.ms": 300_000,
            }
        )
        self.ends: set[int] = set()
        self._partitions = partitions
        self.consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])

    def poll(self) -> None:
        message = self.consumer.poll(0.05)
        if message is None:
            return
        if message.error() is None:
            self.values.append(message.value().decode())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            self.ends.add(message.partition())
        else:
            raise KafkaException(message.error())

    def read_to_the_end(self, eventually: Eventually) -> list[str]:
        """What can be read now. A read_committed reader's end is the last stable offset."""
        self.ends.clear()
        eventually("the reader reaches the end", lambda: len(self.ends) == self._partitions, self.poll)
        return self.values


@pytest.fixture
def read(bootstrap: str, eventually: Eventually) -> Iterator[Callable[..., list[str]]]:
    readers: list[Reader] = []

    def reading(topic: str, partitions: int = 1, isolation: str = "read_committed") -> list[str]:
        readers.append(Reader(bootstrap, topic, partitions, isolation))
        return readers[-1].read_to_the_end(eventually)

    yield reading
    for reader in readers:
        reader.consumer.close()


def test_committed_records_are_read_and_aborted_ones_are_not(
    bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str], read: Callable[..., list[str]]
) -> None:
    topic = new_topic(2)
    writer = producer(bootstrap, fresh_name())
    for transaction in range(6):
        writer.begin_transaction()
        for index in range(10):
            writer.produce(topic, f"{transaction}-{index}", partition=index % 2)
        writer.flush()
        if transaction % 3 == 1:
            writer.abort_transaction(TIMEOUT_S)
        else:
            writer.commit_transaction(TIMEOUT_S)
    committed = [f"{t}-{i}" for t in range(6) if t % 3 != 1 for i in range(10)]
    assert sorted(read(topic, 2)) == sorted(committed)
    everything = [f"{t}-{i}" for t in range(6) for i in range(10)]
    assert sorted(read(topic, 2, "read_uncommitted")) == sorted(everything)


def test_an_open_transaction_holds_readers_back_and_its_end_wakes_them(
    bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str], eventually: Eventually
) -> None:
    """One reader waits in a Fetch of two minutes, longer than the test: only the marker can end it in time."""
    topic = new_topic()
    writer = producer(bootstrap, fresh_name())
    writer.begin_transaction()
    writer.produce(topic, "within")
    writer.flush()
    plain = Producer({"bootstrap.servers": bootstrap})
    plain.produce(topic, "behind")
    plain.flush()
    reader = Reader(bootstrap, topic)
    assert reader.read_to_the_end(eventually) == []
    assert Reader(bootstrap, topic, isolation="read_uncommitted").read_to_the_end(eventually) == ["within", "behind"]
    patient = Reader(bootstrap, topic, wait_ms=120_000)
    patient.poll()
    for value in ("more", "and more"):
        plain.produce(topic, value)
    plain.flush()
    assert patient.values == []
    writer.commit_transaction(TIMEOUT_S)
    for waiting in (reader, patient):
        eventually("all is read", lambda: len(waiting.values) == 4, waiting.poll)  # noqa: B023 - called at once
        assert waiting.values == ["within", "behind", "more", "and more"]
        waiting.consumer.close()


def test_offsets_by_isolation_level(
    bootstrap: str,
    admin: AdminClient,
    new_topic: Callable[..., str],
    fresh_name: Callable[[], str],
    eventually: Eventually,
) -> None:
    topic = new_topic()
    writer = producer(bootstrap, fresh_name())

    def latest(isolation: IsolationLevel) -> int:
        asked = {TopicPartition(topic, 0): OffsetSpec.latest()}
        (found,) = admin.list_offsets(asked, isolation_level=isolation).values()
        offset: int = found.result(TIMEOUT_S).offset
        return offset

    writer.begin_transaction()
    writer.produce(topic, "a")
    writer.flush()
    assert latest(IsolationLevel.READ_UNCOMMITTED) == 1
    assert latest(IsolationLevel.READ_COMMITTED) == 0
    writer.commit_transaction(TIMEOUT_S)
    eventually("the marker is written", lambda: latest(IsolationLevel.READ_UNCOMMITTED) == 2, lambda: None)
    eventually("and is stable", lambda: latest(IsolationLevel.READ_COMMITTED) == 2, lambda: None)


def test_a_second_producer_of_the_same_id_fences_the_first(
    bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str], read: Callable[..., list[str]]
) -> None:
    topic, transactional_id = new_topic(), fresh_name()
    zombie = producer(bootstrap, transactional_id)
    zombie.begin_transaction()
    zombie.produce(topic, "of the zombie")
    zombie.flush()
    successor = producer(bootstrap, transactional_id)
    successor.begin_transaction()
    successor.produce(topic, "of the successor")
    with pytest.raises(KafkaException) as fenced:
        zombie.commit_transaction(TIMEOUT_S)
    assert fenced.value.args[0].fatal()
    assert fenced.value.args[0].code() == KafkaError._FENCED
    successor.commit_transaction(TIMEOUT_S)
    assert read(topic) == ["of the successor"]


def test_consume_transform_produce_commits_records_and_offsets_together(
    bootstrap: str,
    admin: AdminClient,
    new_topic: Callable[..., str],
    fresh_name: Callable[[], str],
    read: Callable[..., list[str]],
    eventually: Eventually,
) -> None:
    source, target, group = new_topic(), new_topic(), fresh_name()
    plain = Producer({"bootstrap.servers": bootstrap})
    for index in range(6):
        plain.produce(source, str(index))
    plain.flush()
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([source])
    writer = producer(bootstrap, fresh_name())

    def committed() -> int:
        (result,) = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, [TopicPartition(source, 0)])], require_stable=False
        ).values()
        offset: int = result.result(TIMEOUT_S).topic_partitions[0].offset
        return offset

    def step(count: int, *, commits: bool) -> None:
        got: list[str] = []

        def poll() -> None:
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                got.append(message.value().decode())

        eventually("the source is read", lambda: len(got) == count, poll)
        writer.begin_transaction()
        for value in got:
            writer.produce(target, f"seen {value}")
        positions = consumer.position(consumer.assignment())
        writer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), TIMEOUT_S)
        if commits:
            writer.commit_transaction(TIMEOUT_S)
        else:
            writer.abort_transaction(TIMEOUT_S)
            consumer.seek(TopicPartition(source, 0, max(committed(), 0)))

    first = 6
    step(first, commits=False)
    assert committed() < 0, "an aborted transaction leaves no offsets"
    assert read(target) == []
    step(first, commits=True)
    eventually("the offsets are visible", lambda: committed() == first, lambda: None)
    assert read(target) == [f"seen {index}" for index in range(first)]
    consumer.close()


def test_the_timeout_aborts_a_transaction_that_stays_open(
    bootstrap: str, new_topic: Callable[..., str], fresh_name: Callable[[], str], eventually: Eventually
) -> None:
    """Its coordinator looks every ten seconds in Kafka, more often in the broker that the tests start."""
    topic = new_topic()
    idle = producer(bootstrap, fresh_name(), **{"transaction.timeout.ms": 1_000, "message.timeout.ms": 900})
    idle.begin_transaction()
    idle.produce(topic, "left open")
    idle.flush()
    plain = Producer({"bootstrap.servers": bootstrap})
    plain.produce(topic, "behind")
    plain.flush()
    reader = Reader(bootstrap, topic)
    eventually("the reader gets past the open transaction", lambda: reader.values == ["behind"], reader.poll)
    with pytest.raises(KafkaException):
        idle.commit_transaction(TIMEOUT_S)
    reader.consumer.close()


def test_a_timeout_beyond_the_brokers_limit_is_refused(bootstrap: str, fresh_name: Callable[[], str]) -> None:
    with pytest.raises(KafkaException) as refused:
        producer(bootstrap, fresh_name(), **{"transaction.timeout.ms": 900_001})
    assert refused.value.args[0].code() == KafkaError.INVALID_TRANSACTION_TIMEOUT
