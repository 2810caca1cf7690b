"""One partition: where it begins and ends, and in which message of its stream an offset or a time is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_nats.connection import Missing, NatsConnection, NoMessage
from mainstem_plugins.transport_nats.packed import Ending, Packed, unpack

MESSAGE_ID = "Mainstem-Message"


class Stored(msgspec.Struct, frozen=True):
    """A message as the stream has it; `message_id` is what its writer called it."""

    sequence: int
    packed: Packed
    message_id: str


class Place(msgspec.Struct, frozen=True):
    """Where reading begins: the message with `offset`, or the next one. `end` is the end of the partition as known now."""

    sequence: int
    offset: int
    end: int


class PartitionLog:
    """What must be true now is asked of whoever leads the stream; what is there already, of any server that has it. A follower
    may not have got it yet, so that nothing is believed to be missing before the leader has said so."""

    def __init__(self, connection: NatsConnection, partition: TopicPartition, stream: str, subject: str) -> None:
        self.partition = partition
        self.stream = stream
        self.subject = subject
        self._connection = connection

    async def _get(self, sequence: int | None, *, direct: bool = False) -> Stored | None:
        """The first message from `sequence` on, or the last one of all. Raises: TransportError."""
        js = self._connection.js

        async def ask() -> Stored:
            if sequence is None:
                found = await js.get_msg(self.stream, subject=self.subject)
            else:
                found = await js.get_msg(self.stream, seq=sequence, subject=self.subject, direct=direct, next=True)
            assert found.seq is not None, "a message that is stored has a sequence"
            return Stored(found.seq, unpack(found.data or b""), (found.headers or {}).get(MESSAGE_ID, ""))

        try:
            return await self._connection.call(f"{self.partition} cannot be read", ask)
        except NoMessage:
            return None
        except Missing as error:
            raise TransportError(f"{self.partition} does not exist; its topic was deleted") from error

    async def at(self, sequence: int) -> Stored | None:
        """The first message from there on."""
        return await self._get(sequence, direct=True) or await self._get(sequence)

    async def last(self) -> Stored | None:
        """Raises: TransportError, also for a stream that somebody emptied: nobody knows its next offset any more."""
        found = await self._get(None)
        if found is None:
            what = f"{self.partition} cannot be looked up"
            state = (await self._connection.call(what, lambda: self._connection.js.stream_info(self.stream))).state
            if state.last_seq and not state.messages:
                raise TransportError(
                    f"{self.partition} had records that were purged with something else than mainstem, and with them its"
                    " offsets; delete the topic and create it again"
                )
            return await self._get(None) if state.messages else None
        return found

    async def ending(self) -> Ending:
        last = await self.last()
        return Ending(0, 0, 0) if last is None else ending_of(last)

    async def bounds(self) -> tuple[int, int]:
        """(log start offset, end offset)."""
        last = await self.last()
        if last is None:
            return 0, 0
        first = await self.at(1) or last
        return first.packed.first, last.packed.end

    async def place(self, offset: int) -> Place:
        """Of an offset that retention took away: the first that is left. Raises: TransportError behind the end."""
        last = await self.last()
        end = 0 if last is None else last.packed.end
        if not 0 <= offset <= end:
            raise TransportError(f"{self.partition} cannot be read at offset {offset}: it ends at {end}")
        if last is None or offset == end:
            return Place(1 if last is None else last.sequence + 1, offset, end)
        found = await self._search(last, lambda packed: packed.end > offset)
        return Place(found.sequence, max(offset, found.packed.first), end)

    async def _search(self, last: Stored, is_from: Callable[[Packed], bool]) -> Stored:
        """The first message of which `is_from` is true; it is true of all behind it, and of `last`."""
        found, low, high = last, 1, last.sequence - 1
        first = await self.at(1) or last
        low = first.sequence
        while low <= high:
            middle = (low + high) // 2
            stored = await self.at(middle)
            if stored is None or stored.sequence >= found.sequence:
                high = middle - 1
            elif is_from(stored.packed):
                found, high = stored, middle - 1
            else:
                low = stored.sequence + 1
        return found

    async def offset_for_time(self, timestamp: int) -> int:
        last = await self.last()
        if last is None:
            return 0
        if last.packed.newest < timestamp:
            return last.packed.end
        stored: Stored | None = await self._search(last, lambda packed: packed.newest >= timestamp)
        # `newest` may tell of a record that retention took away, so that those after it have to be looked at.
        while stored is not None and stored.sequence <= last.sequence:
            for place, time in enumerate(stored.packed.timestamps):
                if time >= timestamp:
                    return stored.packed.first + place
            stored = await self.at(stored.sequence + 1)
        return last.packed.end

    async def delete_before(self, offset: int) -> None:
        """Messages whose records are all below it; the last one always stays, because it says where the partition ends.

        Raises: TransportError, also for an offset behind the end.
        """
        place = await self.place(offset)
        kept = place.sequence - 1 if offset == place.end else place.sequence
        if kept > 1:
            await self._connection.call(
                f"records of {self.partition} cannot be deleted",
                lambda: self._connection.js.purge_stream(self.stream, seq=kept),
            )

    async def forget(self, before: int) -> None:
        """Messages whose records are all older than `before` (ms); the last one always stays. Raises: TransportError."""
        last = await self.last()
        first = None if last is None else await self.at(1)
        if last is None or first is None or first.packed.newest >= before or first.sequence == last.sequence:
            return
        kept = last
        if last.packed.newest >= before:
            kept = await self._search(last, lambda packed: packed.newest >= before)
        await self._connection.call(
            f"old records of {self.partition} cannot be deleted",
            lambda: self._connection.js.purge_stream(self.stream, seq=kept.sequence),
        )


def ending_of(stored: Stored) -> Ending:
    return Ending(stored.sequence, stored.packed.end, stored.packed.newest)
