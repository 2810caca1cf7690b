"""The state port: where a task of a pipeline keeps what does not fit in memory, on this machine's disk.

The changelog stays the truth; what is here saves reading it from the beginning. Keys and values are bytes; keys sort by step and
group (`mainstem.pipeline.state.encoding` says how).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mainstem.api.context import PluginContext
from mainstem.api.spec import PluginConfig
from mainstem.model.errors import MainstemError


class StateEntry(NamedTuple):
    key: bytes
    value: bytes


class StateChange(NamedTuple):
    """`value` None deletes."""

    key: bytes
    value: bytes | None


class TaskState(Protocol):
    """One task's. All calls come from one thread, between batches; none waits for long."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """One for each key, in their order."""

    def scan(self, prefix: bytes) -> Iterator[StateEntry]:
        """Everything whose key begins with `prefix`, sorted by key. Consumed before anything is written."""

    def first_key(self, prefix: bytes, at_least: bytes) -> bytes | None:
        """The least key that begins with `prefix` and is not below `at_least`."""

    def write(self, changes: Sequence[StateChange], position: bytes) -> None:
        """All of it or nothing, and the position with it; the last of several changes of one key counts."""

    def position(self) -> bytes | None:
        """What was written last; None in a state that is empty."""

    def clear(self) -> None:
        """Begin anew, without position."""

    def close(self) -> None: ...


class StateStoreError(MainstemError):
    """The folder cannot be used; the text says what to do."""


class StateInUse(StateStoreError):
    """Another process, or another state of this one, has the folder open. It may be free a moment later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpec:
    """Descriptor. `open(config, context, folder)` makes the folder if it is not there.

    Raises (`open`): StateStoreError; StateInUse if another process has the folder open.
    """

    name: str
    open: Callable[[Any, PluginContext, Path], TaskState]
    config: type[PluginConfig] = PluginConfig
