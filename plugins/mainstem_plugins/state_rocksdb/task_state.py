"""One task's state as a RocksDB database. The position lies in it under a key that no step has: it begins with 0xFF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rocksdict import Options, Rdict, WriteBatch

from mainstem.api.state import StateChange, StateEntry, StateInUse, StateStoreError
from mainstem_plugins.state_rocksdb import RocksConfig

POSITION = b"\xffposition"


class RocksState:
    """Writes are not synced one by one: what a power loss takes is read again from the changelog, because the position goes
    with it."""

    def __init__(self, config: RocksConfig, folder: Path) -> None:
        self._folder = folder
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(config.write_buffer_bytes)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = Rdict(str(folder), options)
        except Exception as error:  # rocksdict has one type for all: a lock that is held, a full disk, a damaged file
            told = str(error).replace(str(folder), "").lower()  # the folder's own name may say anything
            kind = StateInUse if "lock" in told else StateStoreError
            raise kind(
                f"state in {folder} cannot be opened: {error}. If no other process uses it, delete the folder; the state comes "
                "back from its changelog"
            ) from error

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        found: Any = self._database.get(list(keys))
        return list(found)

    def scan(self, prefix: bytes) -> Iterator[StateEntry]:
        iterator = self._database.iter()
        iterator.seek(prefix)
        while iterator.valid():
            key: Any = iterator.key()
            if not key.startswith(prefix) or key == POSITION:
                return
            value: Any = iterator.value()
            yield StateEntry(key, value)
            iterator.next()

    def first_key(self, prefix: bytes, at_least: bytes) -> bytes | None:
        iterator = self._database.iter()
        iterator.seek(at_least)
        if not iterator.valid():
            return None
        key: Any = iterator.key()
        found = bytes(key)
        return found if found.startswith(prefix) and found != POSITION else None

    def write(self, changes: Sequence[StateChange], position: bytes) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(POSITION, position)
        self._database.write(batch)

    def position(self) -> bytes | None:
        found: bytes | None = self._database.get(POSITION)
        return found

    def clear(self) -> None:
        batch = WriteBatch(raw_mode=True)
        for key in self._database.keys():  # noqa: SIM118 - no dict
            batch.delete(key)
        self._database.write(batch)

    def close(self) -> None:
        self._database.close()
