"""Which offsets of a partition are done, and which messages are still being worked on.

A partition's offsets are delivered in order and acknowledged nearly so. What was delivered waits in a queue; the position that can
be committed is the oldest one that is not acknowledged. Offsets that no record has (compaction, control records) need no care: the
position after the last delivery is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, MutableSet
from typing import Any
from weakref import WeakSet


class PartitionAcks:
    """Of one partition in one generation.

    delivered 5 6 9   ack(6)  position 5
                      ack(5)  position 9
                      ack(9)  position 12, where the delivery said that it ends
    """

    __slots__ = ("_done", "_next", "count", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[int] = deque()
        self.count = 0
        self._done: set[int] = set()
        self._next: int | None = None

    def delivered(self, offsets: Iterable[int], next_offset: int) -> None:
        self.waiting.extend(offsets)
        self._next = next_offset

    def ack(self, offset: int) -> bool:
        """True the first time."""
        waiting, done = self.waiting, self._done
        if waiting and waiting[0] == offset:
            waiting.popleft()
            while done and waiting and waiting[0] in done:
                done.discard(waiting.popleft())
        elif offset in done or not waiting or offset < waiting[0]:
            return False
        else:
            done.add(offset)
        self.count += 1
        return True

    def position(self) -> int | None:
        """The next offset to read for whoever goes on here; None before anything was delivered."""
        return self.waiting[0] if self.waiting else self._next


class UnackedMessages(MutableSet[Any]):
    """Messages that agents have begun and not acknowledged.

    A stream works on one event at a time, so it is asked instead of being told for each. Those that are acknowledged by hand
    (`noack`, `take`) are added one by one. `Consumer.wait_empty` reads the truth value, the length, the members, and uses `-=`.
    """

    def __init__(self) -> None:
        self._held: WeakSet[Any] = WeakSet()
        self._streams: WeakSet[Any] = WeakSet()

    def watch(self, stream: Any) -> None:
        self._streams.add(stream)

    def add(self, value: Any) -> None:
        self._held.add(value)

    def discard(self, value: Any) -> None:
        self._held.discard(value)

    def _found(self) -> set[Any]:
        found = {message for message in self._held if not message.acked}
        for stream in self._streams:
            event = stream.current_event
            if event is None or event.message.acked:
                continue
            if stream.app.topics.acks_enabled_for(event.message.topic):
                found.add(event.message)
        return found

    def __contains__(self, value: object) -> bool:
        return value in self._found()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def __isub__(self, it: Any) -> UnackedMessages:  # type: ignore[misc]
        for one in list(it):
            self._held.discard(one)
        return self
