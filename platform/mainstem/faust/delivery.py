"""Records of one partition on their way into the queues of the channels that iterate over its topic.

Rules that Faust enforces elsewhere, or nowhere: a channel that nobody iterates over is not counted and not waited for; a partition
without an iterating channel is held; decode errors travel through the queue's own error path; what is put into a queue is never
safe there, because every resume of the flow empties it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from faust.exceptions import KeyDecodeError, ValueDecodeError
from faust.types import TP

from mainstem.api.batch import Batch
from mainstem.api.transport import FetchedBatch
from mainstem.faust.acks import PartitionAcks
from mainstem.faust.decoding import Decoder, compile_decoder
from mainstem.faust.monitor import own_monitor
from mainstem.faust.records import BatchEvent, BatchMessage, message_class

SLICE_RECORDS = 1_024
HOLD_RECORDS_MAX = 8_192
UNBOUNDED_ROOM = 1 << 30


class Held:
    """Fetched records of a partition, and how many of them have been delivered."""

    __slots__ = ("batch", "first", "next_offset", "offsets")

    def __init__(self, fetched: FetchedBatch) -> None:
        self.batch: Batch = fetched.batch
        self.offsets: Sequence[int] = fetched.offsets
        self.next_offset = fetched.next_offset
        self.first = 0


class PartitionDelivery:
    """Of one partition in one generation. `origin`: where reading began, for when nothing is committed yet.
    `read_to`: the offset after everything that was held so far."""

    def __init__(
        self, app: Any, tp: TP, generation_id: int, events: type[BatchEvent], wake: Callable[[], None]
    ) -> None:
        self.tp = tp
        self.generation_id = generation_id
        self.held: deque[Held] = deque()
        self.held_records = 0
        self.origin: int | None = None
        self.read_to: int = 0
        self.acks = PartitionAcks()
        self._app = app
        self._events = events
        self._wake = wake
        self._messages: type[BatchMessage] = message_class(tp, generation_id, self.acks)
        self._decoders: dict[Any, Decoder | None] = {}

    @property
    def is_full(self) -> bool:
        """Nothing more should be read before some of it is delivered."""
        return self.held_records >= HOLD_RECORDS_MAX

    @property
    def has_room(self) -> bool:
        """Enough to go on reading after it was full."""
        return self.held_records <= HOLD_RECORDS_MAX // 2

    def hold(self, fetched: FetchedBatch) -> None:
        if self.origin is None:
            self.origin = fetched.offsets[0] if fetched.offsets else fetched.next_offset
        self.held.append(Held(fetched))
        self.read_to = fetched.next_offset
        self.held_records += len(fetched.offsets)

    def forget(self) -> None:
        """What is held and what is not acknowledged: reading begins anew. Late acknowledgements count for nothing."""
        self.held.clear()
        self.held_records = 0
        self.acks = PartitionAcks()
        self._messages = message_class(self.tp, self.generation_id, self.acks)

    async def deliver(self) -> int:
        """As much of what is held as the channels have room for. Returns the number of records."""
        count = 0
        while self.held:
            channels = [one for one in self._app.topics.channels_of(self.tp) if one.is_iterator]
            if not channels:
                return count
            room = min(SLICE_RECORDS, *(self._room(channel) for channel in channels))
            if room <= 0:
                return count
            one = self.held[0]
            end = min(one.first + room, len(one.offsets))
            first, one.first = one.first, end
            is_last = end == len(one.offsets)
            if is_last:
                self.held.popleft()
            self.held_records -= end - first
            offsets = one.offsets[first:end]
            if self._app.topics.acks_enabled_for(self.tp.topic):
                self.acks.delivered(offsets, one.next_offset if is_last else one.offsets[end])
            if offsets:
                await self._put(channels, one.batch, offsets, first, end)
                count += len(offsets)
                monitor = own_monitor(self._app)
                if monitor is not None:
                    monitor.delivered(self.tp, channels, len(offsets), offsets[-1])
        return count

    def _room(self, channel: Any) -> int:
        """When there is none, the queue tells once it has been emptied far enough."""
        queue = channel.queue
        if queue.maxsize <= 0:
            return UNBOUNDED_ROOM
        room = queue.maxsize - len(queue._queue)
        if room <= 0:
            queue._pending_pressure_drop_callbacks.add(self._wake)
            self._app.sensors.on_topic_buffer_full(self.tp)
        return int(room)

    def _decoder(self, channel: Any) -> Decoder | None:
        try:
            return self._decoders[channel.schema]
        except KeyError:
            made = self._decoders[channel.schema] = compile_decoder(channel)
            return made

    async def _put(self, channels: Sequence[Any], batch: Batch, offsets: Sequence[int], first: int, end: int) -> None:
        messages = self._make_messages(batch, offsets, first, end, len(channels))
        decoded: dict[tuple[Any, Any], list[Any]] = {}
        for channel in channels:
            decoder = self._decoder(channel)
            if decoder is None:
                await self._put_decoded(channel, messages)
                continue
            types = (channel.key_type, channel.value_type)
            events = decoded.get(types)
            if events is None:
                events = self._decode(channel, decoder, messages)
                if len(events) == len(messages):
                    decoded[types] = events
                else:
                    await self._put_with_trouble(channel, decoder, messages, events)
                    continue
            put(channel.queue, events)

    def _make_messages(
        self, batch: Batch, offsets: Sequence[int], first: int, end: int, refcount: int
    ) -> list[BatchMessage]:
        cls = self._messages
        new = cls.__new__
        made: list[BatchMessage] = []
        add = made.append
        headers = batch.headers
        for offset, key, value, timestamp in zip(
            offsets, batch.keys[first:end], batch.values[first:end], batch.timestamps[first:end], strict=True
        ):
            message = new(cls)
            message.offset = offset
            message.key = key
            message.value = value
            message.timestamp = timestamp / 1000.0
            message.headers = None
            message.refcount = refcount
            message.acked = False
            add(message)
        if headers is not None:
            for message, given in zip(made, headers[first:end], strict=True):
                message.headers = list(given)  # type: ignore[arg-type]
        return made

    def _decode(self, channel: Any, decoder: Decoder, messages: Sequence[BatchMessage]) -> list[Any]:
        """Up to the first that cannot be decoded."""
        load_key, load_value, allow_empty = decoder.key, decoder.value, decoder.allow_empty
        cls = self._events
        new = cls.__new__
        events: list[Any] = []
        add = events.append
        try:
            for message in messages:
                event = new(cls)
                event.key = load_key(message.key, message)
                value = message.value
                event.value = None if value is None and allow_empty else load_value(value, message)
                event.message = message
                add(event)
        except (KeyDecodeError, ValueDecodeError):
            pass  # told by _put_with_trouble, which decodes that one again
        return events

    async def _put_with_trouble(
        self, channel: Any, decoder: Decoder, messages: Sequence[BatchMessage], events: list[Any]
    ) -> None:
        """Good ones before the bad one, its error, and so on: the error is thrown where the agent reads."""
        rest = list(messages)
        while rest:
            put(channel.queue, events)
            rest = rest[len(events) :]
            if not rest:
                return
            await self._tell(channel, decoder, rest.pop(0))
            events = self._decode(channel, decoder, rest)

    async def _tell(self, channel: Any, decoder: Decoder, message: BatchMessage) -> None:
        message.ack(self._app.consumer)
        try:
            decoder.key(message.key, message)
        except KeyDecodeError as error:
            await channel.on_key_decode_error(error, message)
            return
        try:
            decoder.value(message.value, message)
        except ValueDecodeError as error:
            await channel.on_value_decode_error(error, message)

    async def _put_decoded(self, channel: Any, messages: Sequence[BatchMessage]) -> None:
        """By the channel's own decoder, one by one."""
        for message in messages:
            try:
                event = await channel.decode(message, propagate=True)
            except KeyDecodeError as error:
                message.ack(self._app.consumer)
                await channel.on_key_decode_error(error, message)
            except ValueDecodeError as error:
                message.ack(self._app.consumer)
                await channel.on_value_decode_error(error, message)
            else:
                put(channel.queue, [event])


def put(queue: Any, events: Sequence[Any]) -> None:
    """What `Queue.put_nowait` does for one, for many: as many readers are woken as there are events."""
    queue._queue.extend(events)
    queue._unfinished_tasks += len(events)
    queue._finished.clear()
    getters = queue._getters
    for _ in range(min(len(events), len(getters))):
        queue._wakeup_next(getters)
