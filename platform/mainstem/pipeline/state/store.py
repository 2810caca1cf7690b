"""What one step of one task keeps: Python values by group (a number, such as the start of a window) and key.

    store = state.store("window")
    totals = store.load(group, keys)     a dict in which these keys are, if they are stored; work on it as you like
    totals[key] = 5                      a new value, or the same object changed
    store.touch(group, keys)             now the next checkpoint writes these keys; a key no longer in the dict is deleted

The dict of a group is the same object until the store is rolled back or evicts it, which happens only between batches:
hold it for one call, not longer. In memory `load` costs nothing; a backend on disk fetches what its cache lacks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, Protocol


class Place(NamedTuple):
    group: int
    key: Any


class Entry(NamedTuple):
    """`value` is MISSING for a deletion."""

    place: Place
    value: Any


MISSING: Any = object()


class Store(Protocol):
    @property
    def name(self) -> str: ...

    def load(self, group: int, keys: Collection[Any]) -> dict[Any, Any]:
        """The group's dict, with these keys in it where they are stored; other keys may be missing from it."""

    def load_all(self, group: int) -> dict[Any, Any]:
        """The group's dict with all of its keys."""

    def touch(self, group: int, keys: Iterable[Any]) -> None:
        """These keys were set, changed or removed in the group's dict."""

    def drop(self, group: int) -> None:
        """Remove a group with all of its keys."""

    def groups(self) -> Collection[int]:
        """All groups that have a key."""

    def items(self) -> Iterator[Entry]:
        """Everything, in no particular order."""


class KeptStore(Store, Protocol):
    """A store with what whoever keeps its changelog needs."""

    @property
    def size(self) -> int:
        """Entries in memory."""

    @property
    def has_changes(self) -> bool: ...

    def take_changes(self) -> list[Entry]:
        """What was touched since the last call. Values are the live objects: encode them before anything changes them."""

    def let_go(self) -> None:
        """A checkpoint was made: what can be read again need not stay in memory."""


class MemoryStore:
    """All of it in dicts. `take_changes` and `restore` are for whoever keeps the changelog."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._groups: dict[int, dict[Any, Any]] = {}
        self._touched: dict[int, set[Any]] = {}

    def load(self, group: int, keys: Collection[Any]) -> dict[Any, Any]:
        return self.load_all(group)

    def load_all(self, group: int) -> dict[Any, Any]:
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = {}
        return found

    def touch(self, group: int, keys: Iterable[Any]) -> None:
        touched = self._touched.get(group)
        if touched is None:
            touched = self._touched[group] = set()
        touched.update(keys)

    def drop(self, group: int) -> None:
        removed = self._groups.pop(group, None)
        if removed:
            self.touch(group, removed)

    def groups(self) -> Collection[int]:
        return [group for group, found in self._groups.items() if found]

    def items(self) -> Iterator[Entry]:
        return (
            Entry(Place(group, key), value) for group, found in self._groups.items() for key, value in found.items()
        )

    @property
    def size(self) -> int:
        return sum(map(len, self._groups.values()))

    @property
    def has_changes(self) -> bool:
        return bool(self._touched)

    def take_changes(self) -> list[Entry]:
        """What was touched since the last call. Values are the live objects: encode them before anything changes them."""
        changes = []
        for group, keys in self._touched.items():
            found = self._groups.get(group, {})
            changes += [Entry(Place(group, key), found.get(key, MISSING)) for key in keys]
        self._touched = {}
        return changes

    def let_go(self) -> None:
        """There is no other place."""

    def restore(self, place: Place, value: Any) -> None:
        """As it was at some checkpoint; not a change."""
        if value is MISSING:
            found = self._groups.get(place.group)
            if found is not None:
                found.pop(place.key, None)
        else:
            self.load_all(place.group)[place.key] = value
