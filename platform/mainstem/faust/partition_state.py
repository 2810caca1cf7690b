"""One partition of a table: the plugin's state on disk, and in front of it what is not yet known to be in the changelog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mainstem.api.state import StateChange, TaskState

WRITE_CHANGES = 1_000


class PartitionState:
    """The state's position is the last changelog offset whose change, and all before it, are in the state. It may have more than
    that, as at-least-once allows, but in a transaction it has nothing that is not committed.

    Changes wait in `_waiting` and are written a thousand at a time; what a crash takes of them comes back from the changelog.
    """

    def __init__(self, state: TaskState, *, is_transactional: bool) -> None:
        self._state = state
        self._is_transactional = is_transactional
        self._waiting: dict[bytes, bytes | None] = {}
        self._readers = 0
        self._told = 0
        position = state.position()
        self.offset: int | None = int(position) if position else None

    def get(self, key: bytes) -> bytes | None:
        try:
            return self._waiting[key]
        except KeyError:
            return self._state.get_many([key])[0]

    def put(self, key: bytes, value: bytes | None) -> None:
        """None removes."""
        self._waiting[key] = value
        if len(self._waiting) >= WRITE_CHANGES and not self._is_transactional:
            self._write()

    def acknowledged(self, offset: int) -> None:
        """The changelog has it. In a transaction: everything up to here is committed."""
        self.offset = offset
        self._told += 1
        if self._is_transactional or self._told >= WRITE_CHANGES:
            self._write()

    def apply(self, changes: Sequence[StateChange], offset: int) -> None:
        """From the changelog, the last of them at `offset`. Where a transaction is open, its own changes come after these."""
        self.offset = offset
        if self._is_transactional or not (self._waiting or self._readers):
            self._state.write(changes, str(offset).encode())
            return
        self._waiting.update(changes)
        self._told += len(changes)
        self._write()

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """As they are now; what is written while somebody reads waits until he has finished."""
        waiting = dict(self._waiting)
        self._readers += 1
        try:
            for key, value in self._state.scan(b""):
                if key not in waiting:
                    yield key, value
        finally:
            self._readers -= 1
        for key, changed in waiting.items():
            if changed is not None:
                yield key, changed

    def _write(self) -> None:
        if self._readers or not (self._waiting or self._told):
            return
        changes = [StateChange(key, value) for key, value in self._waiting.items()]
        self._state.write(changes, b"" if self.offset is None else str(self.offset).encode())
        self._waiting.clear()
        self._told = 0

    def close(self) -> None:
        if not self._is_transactional:
            self._write()
        self._state.close()
