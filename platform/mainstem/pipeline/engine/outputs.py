"""Where an engine writes: a topic through a transport, or a connector's sink."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mainstem.api.batch import Batch
from mainstem.api.connector import Rejected, Sink, TwoPhaseSink
from mainstem.api.partitioner import Partitioner
from mainstem.api.serde import SerdeError, Serializer
from mainstem.api.transport import Transport
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.errors import StageFailure
from mainstem.pipeline.operators.stateless import pick


class Produce(Protocol):
    """The worker's producer: hands records over, and what is handed over lasts from the next checkpoint on."""

    async def produce(self, partition: TopicPartition, batch: Batch) -> None: ...


class TopicOutput:
    """Creates the topic if it does not exist."""

    def __init__(
        self,
        transport: Transport,
        topic: str,
        *,
        key: Serializer,
        value: Serializer,
        partitioner: Partitioner,
        partitions: int,
        configs: Mapping[str, str],
        producer: Produce,
    ) -> None:
        self.topic = topic
        self._transport = transport
        self._key = key
        self._value = value
        self._partitioner = partitioner
        self._partition_count = partitions
        self._configs = configs
        self._producer = producer

    @property
    def partition_count(self) -> int:
        return self._partition_count

    async def open(self) -> None:
        count = await self._transport.partition_count(self.topic)
        if count is None:
            await self._transport.create_topic(self.topic, self._partition_count, self._configs)
            count = await self._transport.partition_count(self.topic)
        assert count, "a topic that was created has partitions"
        self._partition_count = count

    def encode(self, batch: Batch) -> Batch:
        """Raises: StageFailure."""
        keys = _dumps(self._key, batch.keys, "key")
        values = _dumps(self._value, batch.values, "value")
        return Batch(keys=keys, values=values, timestamps=batch.timestamps, headers=batch.headers)

    async def write(self, encoded: Batch) -> None:
        if self._partition_count == 1:
            await self._producer.produce(TopicPartition(self.topic, 0), encoded)
            return
        chosen = self._partitioner.partition_many(self.topic, encoded.keys, self._partition_count)
        for part in split_by(encoded, chosen):
            await self._producer.produce(TopicPartition(self.topic, part.number), part.batch)


class ConnectorOutput:
    """A sink is called by one caller at a time, as its port promises: tasks that work side by side wait for each other here."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self._sink = sink
        self._calls = asyncio.Lock()

    async def open(self) -> None:
        await self._sink.open()

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        async with self._calls:
            return await self._sink.write(batch)

    async def flush(self) -> None:
        async with self._calls:
            await self._sink.flush()

    async def close(self) -> None:
        await self._sink.close()


class TwoPhaseOutput(ConnectorOutput):
    """See `api.connector.TwoPhaseSink`."""

    def __init__(self, name: str, sink: TwoPhaseSink) -> None:
        super().__init__(name, sink)
        self._two_phase = sink

    async def prepare(self) -> str | None:
        async with self._calls:
            return await self._two_phase.prepare()

    async def commit(self, token: str) -> None:
        async with self._calls:
            await self._two_phase.commit(token)

    async def abort(self) -> None:
        async with self._calls:
            await self._two_phase.abort()


def _dumps(serializer: Serializer, values: list[Any], side: str) -> list[bytes | None]:
    try:
        return serializer.dumps_many(values)
    except SerdeError as error:
        raise StageFailure(f"the {side} cannot be written: {error.reason}", error.index) from error


class Part(NamedTuple):
    number: int
    batch: Batch


def split_by(batch: Batch, chosen: Sequence[int]) -> Sequence[Part]:
    """One batch per partition, in order of appearance; records keep their order within each."""
    places: dict[int, list[int]] = {}
    for place, partition in enumerate(chosen):
        at = places.get(partition)
        if at is None:
            places[partition] = [place]
        else:
            at.append(place)
    if len(places) == 1:
        return [Part(chosen[0], batch)]
    return [Part(partition, pick(batch, at)) for partition, at in places.items()]
