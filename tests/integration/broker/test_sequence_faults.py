"""An idempotent producer behind a network that loses, doubles, delays and reorders: every record lands once, in order.

The producer is the protocol's, by hand: five batches in flight, sent again in order when nothing more is under way.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem import Broker
from mainstem.client.protocol import ProtocolConnection
from mainstem.model import records
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from mainstem.wire.messages.init_producer_id import InitProducerIdRequest
from mainstem.wire.messages.metadata import MetadataRequest
from mainstem.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

TIMEOUT_S = 20.0
IN_FLIGHT = 5
BATCHES = 40
NOW_MS = 1_700_000_000_000
BY_NAME = 12
"""The last version of Produce, and of Fetch, that names topics."""


def connect(bootstrap: str) -> ProtocolConnection:
    host, port = bootstrap.rsplit(":", 1)
    return ProtocolConnection(host, int(port), TIMEOUT_S)


def make_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(TIMEOUT_S)


@dataclass
class Batch:
    data: bytes
    first: int
    count: int
    offset: int | None = None
    """Where it lies, once the producer knows."""


@dataclass
class Producer:
    """What it knows, and the copies of its requests that are still somewhere in the network."""

    connection: ProtocolConnection
    topic: str
    chance: random.Random
    batches: list[Batch] = field(default_factory=list)
    under_way: list[Batch] = field(default_factory=list)
    sent: int = 0

    def begin(self) -> None:
        answer: Any = self.connection.ask(
            ApiKey.INIT_PRODUCER_ID,
            InitProducerIdRequest(transaction_timeout_ms=60_000, producer_id=-1, producer_epoch=-1),
        )
        assert answer.error_code == ErrorCode.NONE
        first = 0
        for _ in range(BATCHES):
            count = self.chance.randint(1, 3)
            data = records.encode(
                [None] * count,
                [f"{first + n}".encode() for n in range(count)],
                [NOW_MS] * count,
                producer_id=answer.producer_id,
                producer_epoch=answer.producer_epoch,
                base_sequence=first,
            )
            self.batches.append(Batch(data, first, count))
            first += count

    @property
    def unacknowledged(self) -> list[Batch]:
        return [batch for batch in self.batches[: self.sent] if batch.offset is None]

    @property
    def is_done(self) -> bool:
        return self.sent == BATCHES and not self.unacknowledged

    def step(self) -> None:
        oldest = next((i for i, batch in enumerate(self.batches) if batch.offset is None), BATCHES)
        # A log that does not know the producer takes any first sequence, as Kafka's does: the first batch travels alone.
        can_send = self.sent < min(BATCHES, oldest + (IN_FLIGHT if oldest else 1))
        if can_send and (not self.under_way or self.chance.random() < 0.5):
            self.sent += 1
            self.transmit(self.batches[self.sent - 1])
        elif self.under_way:
            self.deliver(self.under_way.pop(self.chance.randrange(len(self.under_way))))
        else:
            # The time is up for all that is not answered: in order, as the sequences want it.
            for batch in self.unacknowledged:
                self.transmit(batch)

    def transmit(self, batch: Batch) -> None:
        self.under_way += [batch] * self.chance.choice((0, 1, 1, 1, 2))

    def deliver(self, batch: Batch) -> None:
        data = [PartitionProduceData(index=0, records=batch.data)]
        request = ProduceRequest(
            acks=-1, timeout_ms=5_000, topic_data=[TopicProduceData(name=self.topic, partition_data=data)]
        )
        answer: Any = self.connection.ask(ApiKey.PRODUCE, request, up_to=BY_NAME)
        (row,) = answer.responses[0].partition_responses
        if self.chance.random() < 0.2:
            return  # the answer is lost
        if row.error_code == ErrorCode.NONE:
            assert batch.offset in (None, row.base_offset), "a retry is answered with the offset of the original"
            batch.offset = row.base_offset
        else:
            assert row.error_code in (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.DUPLICATE_SEQUENCE_NUMBER)

    def check(self) -> None:
        total = self.batches[-1].first + self.batches[-1].count
        assert read_all(self.connection, self.topic) == [f"{n}".encode() for n in range(total)]
        assert [batch.offset for batch in self.batches] == [batch.first for batch in self.batches]


def read_all(connection: ProtocolConnection, topic: str) -> list[bytes | None]:
    found: list[bytes | None] = []
    while True:
        partition = FetchPartition(partition=0, fetch_offset=len(found), partition_max_bytes=1 << 20)
        request = FetchRequest(
            max_bytes=1 << 20, session_epoch=-1, topics=[FetchTopic(topic=topic, partitions=[partition])]
        )
        answer: Any = connection.ask(ApiKey.FETCH, request, up_to=BY_NAME)
        (row,) = answer.responses[0].partitions
        assert row.error_code == ErrorCode.NONE
        if not row.records:
            return found
        found += records.decode(bytes(row.records)).values


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with Broker() as broker:
        yield broker.bootstrap_servers


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_lost_doubled_or_out_of_order(bootstrap: str, seed: int) -> None:
    topic = f"unreliable-{seed}"
    make_topic(bootstrap, topic)
    with connect(bootstrap) as connection:
        producer = Producer(connection, topic, random.Random(seed))
        producer.begin()
        while not producer.is_done:
            producer.step()
        while producer.under_way:
            # Copies that come long after: the producer is not waiting for them any more.
            producer.step()
        producer.check()


@pytest.mark.parametrize("seed", range(3))
def test_nor_when_the_broker_is_killed_in_between(broker_process: Callable[..., Any], seed: int) -> None:
    """What was acknowledged stays, and what was not may come again: the log itself knows the sequences."""
    process = broker_process()
    process.start()
    make_topic(process.bootstrap_servers, "t")
    chance = random.Random(seed)
    producer = Producer(connect(process.bootstrap_servers), "t", chance)
    producer.begin()
    kills = sorted(chance.sample(range(20, 120), 2))
    for number in range(100_000):
        if producer.is_done:
            break
        if number in kills:
            producer.connection.close()
            process.kill()
            process.start()
            producer.connection = connect(process.bootstrap_servers)
            # A broker that has just started says who leads what as soon as it listens.
            producer.connection.ask(ApiKey.METADATA, MetadataRequest(topics=None))
        producer.step()
    assert producer.is_done
    producer.check()
    producer.connection.close()
