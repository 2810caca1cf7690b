"""How far pipelines have come, where a consumer group cannot keep it: a compacted topic of the broker.

Positions of connector sources, and the watermark up to which a window stage has emitted. The key of a record
is `{"pipeline": …, "stage": …, "split": …}`, its value `{"position": …}`, both JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainstem.api.batch import Batch
from mainstem.api.context import Clock
from mainstem.api.transport import Transport, TransportError, TransportProducer
from mainstem.model.ids import TopicPartition

TOPIC = "__mainstem_positions"
CONFIGS = {"cleanup.policy": "compact"}
READ_RECORDS = 10_000
READ_WAIT_MS = 1_000
READ_WAITS_MAX = 30


class PositionKey(msgspec.Struct, frozen=True):
    pipeline: str
    stage: str
    split: str


class _Stored(msgspec.Struct, frozen=True):
    position: Any


class Positions:
    """One pipeline's view. Opened with the pipeline; `put` lasts after `flush`."""

    def __init__(self, transport: Transport, pipeline: str, clock: Clock) -> None:
        self._transport = transport
        self._pipeline = pipeline
        self._clock = clock
        self._partition = TopicPartition(TOPIC, 0)
        self._known: dict[tuple[str, str], Any] = {}
        self._producer: TransportProducer | None = None

    async def open(self) -> None:
        """Read what earlier runs stored. Raises: TransportError."""
        await self._transport.create_topic(TOPIC, 1, CONFIGS)
        offset, end = (await self._transport.end_offsets(TOPIC))[self._partition]
        waits = 0
        while offset < end:
            fetched = await self._transport.read(
                self._partition, offset, max_records=READ_RECORDS, max_wait_ms=READ_WAIT_MS
            )
            for key, value in zip(fetched.batch.keys, fetched.batch.values, strict=True):
                self._remember(key, value)
            if fetched.next_offset == offset:
                if fetched.end_offset <= offset:
                    break  # the rest was compacted away while it was read
                waits += 1
                if waits == READ_WAITS_MAX:
                    raise TransportError(f"{self._partition} cannot be read from offset {offset} to its end at {end}")
            offset = fetched.next_offset
        self._producer = self._transport.producer()

    def _remember(self, key: bytes | None, value: bytes | None) -> None:
        try:
            named = msgspec.json.decode(key or b"", type=PositionKey)
            stored = None if value is None else msgspec.json.decode(value, type=_Stored)
        except msgspec.DecodeError:
            return  # written by somebody else; not ours to judge
        if named.pipeline == self._pipeline:
            self._known[named.stage, named.split] = None if stored is None else stored.position

    def get(self, stage: str, split: str) -> Any:
        """None: nothing is stored."""
        return self._known.get((stage, split))

    async def put(self, stage: str, positions: Mapping[str, Any]) -> None:
        """By split; what has not changed is not written again. Raises: TransportError."""
        changed = {
            split: position for split, position in positions.items() if position != self._known.get((stage, split))
        }
        if not changed:
            return
        assert self._producer is not None, "opened before use"
        now_ms = self._clock.now_ms()
        batch = Batch(
            keys=[msgspec.json.encode(PositionKey(self._pipeline, stage, split)) for split in changed],
            values=[msgspec.json.encode(_Stored(position)) for position in changed.values()],
            timestamps=[now_ms] * len(changed),
        )
        await self._producer.produce(self._partition, batch)
        self._known.update({(stage, split): position for split, position in changed.items()})

    async def flush(self) -> None:
        """Raises: TransportError."""
        if self._producer is not None:
            await self._producer.flush()

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.close()
