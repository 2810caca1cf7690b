"""Where an engine writes: a topic through a transport, or a connector's sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mainstem.api.batch import Batch
from mainstem.api.connector import Sink
from mainstem.api.partitioner import Partitioner
from mainstem.api.serde import SerdeError, Serializer
from mainstem.api.transport import Transport, TransportProducer
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.errors import StageFailure


class Output(Protocol):
    async def open(self) -> None: ...

    async def write(self, batch: Batch) -> None:
        """May return before the records are durable. Raises: StageFailure, or what the carrier raises."""

    async def flush(self) -> None:
        """Everything written is durable when this returns."""

    async def close(self) -> None: ...


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
    ) -> None:
        self._transport = transport
        self._topic = topic
        self._key = key
        self._value = value
        self._partitioner = partitioner
        self._partition_count = partitions
        self._configs = configs
        self._producer: TransportProducer | None = None

    async def open(self) -> None:
        count = await self._transport.partition_count(self._topic)
        if count is None:
            await self._transport.create_topic(self._topic, self._partition_count, self._configs)
            count = await self._transport.partition_count(self._topic)
        assert count, "a topic that was created has partitions"
        self._partition_count = count
        self._producer = self._transport.producer()

    async def write(self, batch: Batch) -> None:
        assert self._producer is not None, "opened before use"
        keys = _dumps(self._key, batch.keys, "key")
        values = _dumps(self._value, batch.values, "value")
        written = Batch(keys=keys, values=values, timestamps=batch.timestamps, headers=batch.headers)
        if self._partition_count == 1:
            await self._producer.produce(TopicPartition(self._topic, 0), written)
            return
        chosen = self._partitioner.partition_many(self._topic, keys, self._partition_count)
        for partition, part in _split(written, chosen):
            await self._producer.produce(TopicPartition(self._topic, partition), part)

    async def flush(self) -> None:
        if self._producer is not None:
            await self._producer.flush()

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.close()


class ConnectorOutput:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def open(self) -> None:
        await self._sink.open()

    async def write(self, batch: Batch) -> None:
        rejected = await self._sink.write(batch)
        if rejected:
            first = min(rejected, key=lambda one: one.index)
            more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
            raise StageFailure(f"the sink refused the record: {first.reason}{more}", first.index)

    async def flush(self) -> None:
        await self._sink.flush()

    async def close(self) -> None:
        await self._sink.close()


def _dumps(serializer: Serializer, values: list[Any], side: str) -> list[bytes | None]:
    try:
        return serializer.dumps_many(values)
    except SerdeError as error:
        raise StageFailure(f"the {side} cannot be written: {error.reason}", error.index) from error


def _split(batch: Batch, chosen: Sequence[int]) -> Sequence[tuple[int, Batch]]:
    """One batch per partition, in order of appearance; records keep their order within each."""
    places: dict[int, list[int]] = {}
    for place, partition in enumerate(chosen):
        places.setdefault(partition, []).append(place)
    if len(places) == 1:
        return [(chosen[0], batch)]
    return [
        (
            partition,
            Batch(
                keys=[batch.keys[place] for place in at],
                values=[batch.values[place] for place in at],
                timestamps=[batch.timestamps[place] for place in at],
                headers=None if batch.headers is None else [batch.headers[place] for place in at],
            ),
        )
        for partition, at in places.items()
    ]
