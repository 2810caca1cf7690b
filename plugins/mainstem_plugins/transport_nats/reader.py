"""Reads one partition on and on in the background, a bounded number of bytes ahead of whoever takes the records.

A pull consumer of the server's sends the messages; it lives in the server's memory and knows nothing that must last. When
anything of it seems wrong (a lost connection, a gap, silence) another one is made that goes on behind the last message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js import api

from mainstem.api.transport import FetchedBatch, TransportError
from mainstem_plugins.transport_nats.connection import Missing, NatsConnection
from mainstem_plugins.transport_nats.log import PartitionLog, Place
from mainstem_plugins.transport_nats.packed import Packed, fetched, unpack

AHEAD_BYTES = 4 * 1024 * 1024
AHEAD_MESSAGES = 1_000
EXPIRES_S = 30.0
HEARTBEAT_S = 2.0
SILENCE_S = 3 * HEARTBEAT_S
INACTIVE_S = 60.0
AGAIN_S = 0.1
# Ends of a request that only mean "ask again": nothing came in time, all that was asked for came, the bytes are used up.
ASK_AGAIN = ("404", "408", "Message Size Exceeds MaxBytes", "Batch Completed")
HEARTBEAT = "100"


class _Arrived(msgspec.Struct):
    packed: Packed
    bytes: int


class _AgainError(Exception):
    """This server-side consumer is of no use any more."""


class PartitionReader:
    """`on_news` is called when `take` has something new to return, or to raise."""

    def __init__(
        self, connection: NatsConnection, log: PartitionLog, place: Place, on_news: Callable[[], None]
    ) -> None:
        self.next_offset = place.offset
        self.is_paused = False
        self._connection = connection
        self._log = log
        self._on_news = on_news
        self._end = place.end
        self._told_end = -1
        self._ahead: deque[_Arrived] = deque()
        self._ahead_bytes = 0
        self._next_sequence = place.sequence
        self._delivered = 0
        self._asked = 0
        self._failure: TransportError | None = None
        self._is_broken = False
        self._changed = asyncio.Event()
        connection.on_connected.add(self._break)
        self._reading = asyncio.ensure_future(self._read())
        self._reading.add_done_callback(lambda _: on_news())

    def _break(self) -> None:
        self._is_broken = True
        self._changed.set()

    @property
    def has_news(self) -> bool:
        if self._failure is not None or self._reading.done():
            return True
        return bool(self._ahead) or (self.next_offset == self._end and self._told_end != self._end)

    def take(self, max_records: int) -> FetchedBatch | None:
        """None if there is nothing new. That the end is reached is said once. Raises: TransportError."""
        if self._failure is not None:
            raise self._failure
        if self._reading.done():
            self._reading.result()  # a bug ended it
        parts: list[Packed] = []
        start = next_offset = self.next_offset
        while self._ahead and next_offset - start < max_records:
            packed = self._ahead[0].packed
            if not parts:
                start = next_offset = max(start, packed.first)
            parts.append(packed)
            # Retention may have left a gap in front of it.
            room = start + max_records - next_offset
            next_offset = min(packed.end, max(next_offset, packed.first) + room)
            if next_offset < packed.end:
                break
            self._ahead_bytes -= self._ahead.popleft().bytes
            self._changed.set()
        is_end = next_offset == self._end
        if not parts and not (is_end and self._told_end != self._end):
            return None
        self.next_offset = next_offset
        if is_end:
            self._told_end = self._end
        return fetched(self._log.partition, parts, start, next_offset, self._end)

    def resume(self) -> None:
        self.is_paused = False
        self._changed.set()

    async def _read(self) -> None:
        try:
            while True:
                try:
                    await self._read_with_a_consumer()
                except (_AgainError, Error):
                    await asyncio.sleep(AGAIN_S)
        except TransportError as error:
            self._failure = error
            self._on_news()

    async def _read_with_a_consumer(self) -> None:
        """Raises: _AgainError, TransportError."""
        self._is_broken, self._delivered, self._asked = False, 0, 0
        await self._wait_for_room()
        await self._check_end()
        what = f"{self._log.partition} cannot be read"
        config = api.ConsumerConfig(
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._next_sequence,
            ack_policy=api.AckPolicy.NONE,
            inactive_threshold=INACTIVE_S,
            mem_storage=True,
            num_replicas=1,
        )
        js, client = self._connection.js, self._connection.client
        try:
            made = await self._connection.call(what, lambda: js.add_consumer(self._log.stream, config))
        except Missing as error:
            raise TransportError(f"{what}: its topic was deleted") from error
        inbox = client.new_inbox()
        arriving = await client.subscribe(inbox, cb=self._arrive)
        try:
            while True:
                await self._wait_for_room()
                await self._ask(f"$JS.API.CONSUMER.MSG.NEXT.{self._log.stream}.{made.name}", inbox)
                await self._wait_for_answers()
        finally:
            await self._give_up(arriving, made.name)

    async def _check_end(self) -> None:
        """A server that came back may have less than it had acknowledged; what is written now gets those places again."""
        last = await self._log.last()
        sequence = 0 if last is None else last.sequence
        if sequence >= self._next_sequence - 1:
            return
        self._ahead.clear()
        self._ahead_bytes = 0
        self._connection.log.warning(
            "transport.nats.records_lost", topic=self._log.partition.topic, partition=self._log.partition.partition,
            position=self.next_offset, end=0 if last is None else last.packed.end,
        )  # fmt: skip
        self.next_offset = self._end = 0 if last is None else last.packed.end
        self._next_sequence = sequence + 1

    async def _give_up(self, arriving: Subscription, consumer: str) -> None:
        """The server forgets it after a while if it does not hear this."""
        client = self._connection.client
        if client.is_connected:
            await arriving.unsubscribe()
            await client.publish(f"$JS.API.CONSUMER.DELETE.{self._log.stream}.{consumer}")

    async def _wait_for_room(self) -> None:
        while self.is_paused or self._ahead_bytes >= AHEAD_BYTES // 2:
            self._changed.clear()
            await self._changed.wait()

    async def _ask(self, subject: str, inbox: str) -> None:
        self._asked = AHEAD_MESSAGES
        # A single message may be larger than what is read ahead.
        wanted = {
            "batch": AHEAD_MESSAGES,
            "max_bytes": max(AHEAD_BYTES - self._ahead_bytes, 2 * self._connection.client.max_payload),
            "expires": int(EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        await self._connection.client.publish(subject, msgspec.json.encode(wanted), reply=inbox)

    async def _wait_for_answers(self) -> None:
        """Until all that was asked for has come. Raises: _AgainError."""
        while True:
            if self._is_broken:
                raise _AgainError
            if self._asked <= 0:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self._changed.wait()
            except TimeoutError as error:
                raise _AgainError from error

    async def _arrive(self, message: Msg) -> None:
        """Called by nats-py, one message after the other."""
        if self._is_broken:
            return
        if not message.data:
            self._hear(message.headers or {})
            return
        sequence, delivered, left = _numbers(message.reply)
        if delivered != self._delivered + 1:
            self._break()
            return
        try:
            packed = unpack(message.data)
        except msgspec.DecodeError as error:
            self._failure = TransportError(f"{self._log.stream}: message {sequence} is not of this transport ({error})")
            self._on_news()
            return
        self._delivered, self._next_sequence = delivered, sequence + 1
        self._asked -= 1
        self._end = max(self._end, packed.end + left)
        self._ahead.append(_Arrived(packed, len(message.data)))
        self._ahead_bytes += len(message.data)
        self._changed.set()
        self._on_news()

    def _hear(self, headers: dict[str, str]) -> None:
        status, said = headers.get("Status", ""), headers.get("Description", "")
        if status in ASK_AGAIN or said in ASK_AGAIN:
            self._asked = 0
        elif status != HEARTBEAT:
            self._is_broken = True
        self._changed.set()

    async def close(self) -> None:
        self._connection.on_connected.discard(self._break)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


def _numbers(reply: str) -> tuple[int, int, int]:
    """(sequence in the stream, how many the consumer has sent, how many messages are left behind it).

    From $JS.ACK.[domain.account hash.]stream.consumer.deliveries.sequence.sent.time.left[.token], see ADR-15 of NATS.
    """
    tokens = reply.split(".")
    first = 5 if len(tokens) == 9 else 7
    return int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 3])
