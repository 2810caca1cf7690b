"""A producer. Each partition has at most one message on its way, which holds everything that was produced meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Sequence

import msgspec
from nats.js.errors import NoStreamResponseError

from mainstem.api.batch import Batch, size_of, slices
from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_nats.connection import Conflict, NatsConnection
from mainstem_plugins.transport_nats.log import MESSAGE_ID, PartitionLog
from mainstem_plugins.transport_nats.packed import Ending, pack
from mainstem_plugins.transport_nats.topics import TopicEntry, Topics, retention_ms

EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
IN_FLIGHT_BYTES = 16 * 1024 * 1024
HEADER_BYTES_MAX = 256
RECORDS_MAX = 4_000
FORGET_EVERY_MS = 60_000


class _Item(msgspec.Struct, eq=False):
    """Records of one message; `told` gets the offset of the first."""

    batch: Batch
    size: int
    told: asyncio.Future[int]


class _Publication:
    """A message on its way to the place behind `after`."""

    def __init__(self, connection: NatsConnection, log: PartitionLog, data: bytes, after: int, message_id: str) -> None:
        self.after = after
        self.message_id = message_id
        self.attempts = 0
        self._connection = connection
        self._log = log
        self._data = data

    async def send(self) -> int:
        self.attempts += 1
        headers = {EXPECTED_SEQUENCE: str(self.after), MESSAGE_ID: self.message_id}
        js = self._connection.js
        try:
            return int((await js.publish(self._log.subject, self._data, headers=headers)).seq)
        except NoStreamResponseError:
            await js.stream_info(self._log.stream)  # says so if the topic was deleted, and is not asked in vain then
            raise


class _Writer:
    """One partition's records in their order."""

    def __init__(self, connection: NatsConnection, log: PartitionLog, entry: TopicEntry) -> None:
        self.partition = log.partition
        self.waiting: deque[_Item] = deque()
        self.sending: asyncio.Task[None] | None = None
        self._connection = connection
        self._log = log
        self._ending: Ending | None = None
        self._retention_ms = retention_ms(entry)
        self._forgot_ms = connection.clock.monotonic_ms()

    async def send(self, batch: Batch) -> int:
        """The offset of its first record. Raises: TransportError."""
        message_id = uuid.uuid4().hex
        what = f"{self._log.partition} did not take a record"
        ends_ms = self._connection.clock.monotonic_ms() + self._connection.config.delivery_timeout_ms
        while True:
            ending = self._ending or await self._log.ending()
            self._ending = None  # not known until the acknowledgement is here
            data = pack(batch, ending)
            self._check_size(what, data)
            publication = _Publication(self._connection, self._log, data, ending.sequence, message_id)
            left_s = max(ends_ms - self._connection.clock.monotonic_ms(), 0) / 1000
            try:
                stored = await self._connection.call(what, publication.send, left_s)
            except Conflict as error:
                # Another writer was faster, or this message arrived and its acknowledgement did not. It can only be where
                # it was meant to be, and once something is there it can never arrive there any more.
                if not await self._is_stored(publication):
                    if self._connection.clock.monotonic_ms() > ends_ms:
                        raise TransportError(f"{what}: others were faster for too long") from error
                    continue
                stored = ending.sequence + 1
            self._ending = Ending(stored, ending.offset + len(batch), max(ending.newest, *batch.timestamps))
            await self._forget_the_old()
            return ending.offset

    async def _is_stored(self, publication: _Publication) -> bool:
        """Raises: TransportError if nobody can tell any more."""
        if publication.attempts == 1:
            return False  # it was answered with a refusal
        place = publication.after + 1
        found = await self._log.at(place)
        if found is not None and found.sequence > place:
            raise TransportError(
                f"nobody knows whether {self._log.partition} took a record: what was written then is deleted already"
            )
        return found is not None and found.message_id == publication.message_id

    def _check_size(self, what: str, data: bytes) -> None:
        limit = self._connection.client.max_payload - HEADER_BYTES_MAX
        if len(data) > limit:
            raise TransportError(
                f"{what}: it has {len(data):,} bytes, the NATS server takes {limit:,} (max_payload in its configuration)"
            )

    async def _forget_the_old(self) -> None:
        now_ms = self._connection.clock.monotonic_ms()
        if self._retention_ms is None or now_ms - self._forgot_ms < FORGET_EVERY_MS:
            return
        self._forgot_ms = now_ms
        try:
            await self._log.forget(self._connection.clock.now_ms() - self._retention_ms)
        except TransportError as error:
            self._connection.log.warning(
                "transport.nats.retention", partition=str(self._log.partition), error=str(error)
            )


class NatsProducer:
    def __init__(self, connection: NatsConnection, topics: Topics) -> None:
        self._connection = connection
        self._topics = topics
        self._writers: dict[TopicPartition, _Writer] = {}
        self._bytes = 0
        self._progress = asyncio.Event()
        self._failed: TransportError | None = None

    async def produce(self, partition: TopicPartition, batch: Batch) -> None:
        await self._add(partition, batch)

    async def append(self, partition: TopicPartition, batch: Batch) -> Sequence[int] | None:
        offsets: list[int] = []
        for item in await self._add(partition, batch):
            first = await item.told
            offsets.extend(range(first, first + len(item.batch)))
        return offsets

    async def _add(self, partition: TopicPartition, batch: Batch) -> list[_Item]:
        self._check()
        writer = self._writers.get(partition) or await self._new_writer(partition)
        while self._bytes > IN_FLIGHT_BYTES:
            self._progress.clear()
            await self._progress.wait()
            self._check()
        items = []
        loop = asyncio.get_running_loop()
        for first, end in slices(batch, self._message_bytes, RECORDS_MAX):
            part = batch.part(first, end)  # whoever produced the columns may use them again
            items.append(_Item(part, size_of(part), loop.create_future()))
        writer.waiting.extend(items)
        self._bytes += sum(item.size for item in items)
        if writer.sending is None and items:
            writer.sending = asyncio.create_task(self._send(writer))
        return items

    @property
    def _message_bytes(self) -> int:
        """How many records are made one message; the server says how large that may be."""
        return min(self._connection.config.message_bytes, self._connection.client.max_payload * 3 // 4)

    async def _new_writer(self, partition: TopicPartition) -> _Writer:
        entry = await self._topics.get(partition.topic)
        writer = _Writer(self._connection, self._topics.log(partition, entry), entry)
        return self._writers.setdefault(partition, writer)

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed

    async def _send(self, writer: _Writer) -> None:
        taken: list[_Item] = []
        try:
            while writer.waiting and self._failed is None:
                taken = self._take(writer)
                first = await writer.send(taken[0].batch if len(taken) == 1 else _joined(taken))
                for item in taken:
                    if not item.told.done():
                        item.told.set_result(first)
                    first += len(item.batch)
                self._bytes -= sum(item.size for item in taken)
                self._progress.set()
                taken = []
        except TransportError as error:
            self._fail(error, taken)
        finally:
            if taken:
                self._fail(TransportError(f"{writer.partition} did not take all records"), taken)
            writer.sending = None
            self._progress.set()

    def _take(self, writer: _Writer) -> list[_Item]:
        """As many as one message holds, at least one."""
        taken = [writer.waiting.popleft()]
        size, records = taken[0].size, len(taken[0].batch)
        while writer.waiting:
            following = writer.waiting[0]
            size, records = size + following.size, records + len(following.batch)
            if size > self._message_bytes or records > RECORDS_MAX:
                break
            taken.append(writer.waiting.popleft())
        return taken

    def _fail(self, error: TransportError, taken: Sequence[_Item] = ()) -> None:
        """What follows must not be written either: it would be in front of what was not."""
        self._failed = self._failed or error
        for item in taken:
            _refuse(item, error)
        for writer in self._writers.values():
            for item in writer.waiting:
                _refuse(item, error)
            writer.waiting.clear()

    async def flush(self) -> None:
        while sending := [writer.sending for writer in self._writers.values() if writer.sending is not None]:
            await asyncio.wait(sending)
        self._check()

    async def close(self) -> None:
        sending = [writer.sending for writer in self._writers.values() if writer.sending is not None]
        for task in sending:
            task.cancel()
        if sending:
            await asyncio.wait(sending)
        self._fail(TransportError("the producer is closed"))


def _refuse(item: _Item, error: TransportError) -> None:
    if not item.told.done():
        item.told.set_exception(error)
        item.told.exception()  # whoever waited may be gone


def _joined(items: Sequence[_Item]) -> Batch:
    batch = Batch(keys=[], values=[], timestamps=[])
    for item in items:
        batch.extend(item.batch)
    return batch
