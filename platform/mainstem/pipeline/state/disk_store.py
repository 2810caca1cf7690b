"""A step's store whose values lie on disk, with those that are in use in memory.

The engine prepares nothing: `load` brings the keys of a batch together before they are used, which is one call to the disk for
all that are missing. What was not changed since the last checkpoint is let go when there is much of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from mainstem.api.state import TaskState
from mainstem.pipeline.state.encoding import StateCodec
from mainstem.pipeline.state.store import MISSING, Entry, Place

CACHED_MAX = 200_000


class DiskStore:
    """See `state.store.Store`. `state` is the task's, shared by its steps."""

    def __init__(self, name: str, codec: StateCodec, state: TaskState) -> None:
        self.name = name
        self._codec = codec
        self._state = state
        self._cached: dict[int, dict[Any, Any]] = {}
        self._whole: set[int] = set()
        self._touched: dict[int, set[Any]] = {}
        self._taken: dict[int, set[Any]] = {}
        self._groups: set[int] | None = None

    def load(self, group: int, keys: Collection[Any]) -> dict[Any, Any]:
        held = self._cached.get(group)
        if held is None:
            held = self._cached[group] = {}
        if group in self._whole:
            return held
        touched, taken = self._touched.get(group, ()), self._taken.get(group, ())
        missing = [key for key in keys if key not in held and key not in touched and key not in taken]
        if missing:
            places = [Place(group, key) for key in missing]
            found = self._state.get_many([self._codec.key(place) for place in places])
            for place, data in zip(places, found, strict=True):
                if data is not None:
                    held[place.key] = self._codec.read(place, data)
        return held

    def load_all(self, group: int) -> dict[Any, Any]:
        held = self._cached.get(group)
        if held is None:
            held = self._cached[group] = {}
        if group not in self._whole:
            newer = self._touched.get(group, set()) | self._taken.get(group, set())
            for key, data in self._state.scan(self._codec.group_prefix(group)):
                place = self._codec.place(key)
                if place.key not in held and place.key not in newer:
                    held[place.key] = self._codec.read(place, data)
            self._whole.add(group)
        return held

    def touch(self, group: int, keys: Iterable[Any]) -> None:
        touched = self._touched.get(group)
        if touched is None:
            touched = self._touched[group] = set()
        touched.update(keys)
        if self._groups is not None:
            self._groups.add(group)

    def drop(self, group: int) -> None:
        removed = set(self.load_all(group))
        self._cached[group] = {}
        self.touch(group, removed)

    def groups(self) -> Collection[int]:
        if self._groups is None:
            self._groups = set(self._stored_groups()) | set(self._touched) | set(self._taken)
        gone = [group for group in self._groups if group in self._whole and not self._cached.get(group)]
        self._groups.difference_update(gone)
        return list(self._groups)

    def _stored_groups(self) -> Iterator[int]:
        """One look at the disk for each group."""
        prefix = self._codec.prefix
        key = self._state.first_key(prefix, prefix)
        while key is not None:
            group = self._codec.place(key).group
            yield group
            key = self._state.first_key(prefix, self._codec.group_prefix(group + 1))

    def items(self) -> Iterator[Entry]:
        for group in self.groups():
            for key, value in self.load_all(group).items():
                yield Entry(Place(group, key), value)

    @property
    def size(self) -> int:
        return sum(map(len, self._cached.values()))

    @property
    def has_changes(self) -> bool:
        return bool(self._touched)

    def take_changes(self) -> list[Entry]:
        """As `MemoryStore.take_changes`. The caller writes them to the task's state, and says so by `let_go`."""
        changes = []
        for group, keys in self._touched.items():
            held = self._cached.get(group, {})
            changes += [Entry(Place(group, key), held.get(key, MISSING)) for key in keys]
        self._taken, self._touched = self._touched, {}
        return changes

    def let_go(self) -> None:
        """What was taken is on disk: what is cached beyond a bound, and was not changed since, is read again when it is used
        again."""
        self._taken = {}
        if self.size > CACHED_MAX:
            self._cached = {
                group: {key: held[key] for key in keys if key in held}
                for group, keys in self._touched.items()
                if (held := self._cached.get(group)) is not None
            }
            self._whole = set()
