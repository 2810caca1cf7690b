"""A store on disk is told from one in memory by nobody, whatever is done with them and whenever a checkpoint comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mainstem.api.state import StateChange
from mainstem.pipeline.state import disk_store
from mainstem.pipeline.state.disk_store import DiskStore
from mainstem.pipeline.state.encoding import StateCodec
from mainstem.pipeline.state.store import MISSING, Entry, MemoryStore
from mainstem.testing.conformance.states import check_state
from mainstem.testing.simulated_state import SimulatedDisk, SimulatedState

GROUPS = st.integers(-2, 3)
KEYS = st.sampled_from(["a", "b", ("c", 1), None, 7])


def test_the_simulated_state_keeps_the_contract():
    disk = SimulatedDisk()
    check_state(lambda: SimulatedState(disk, Path("state")))


class Stores(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.disk = SimulatedDisk()
        self.codec = StateCodec("step")
        self.memory = MemoryStore("step")
        self.taken: list[StateChange] | None = None
        self.open()

    def open(self) -> None:
        self.state = SimulatedState(self.disk, Path("state"))
        self.store = DiskStore("step", self.codec, self.state)

    @rule(group=GROUPS, key=KEYS, value=st.integers(-9, 9))
    def put(self, group: int, key: Any, value: int) -> None:
        for store in (self.memory, self.store):
            store.load(group, [key])[key] = value
            store.touch(group, [key])

    @rule(group=GROUPS, key=KEYS)
    def remove(self, group: int, key: Any) -> None:
        for store in (self.memory, self.store):
            if store.load(group, [key]).pop(key, None) is not None:
                store.touch(group, [key])

    @rule(group=GROUPS)
    def drop(self, group: int) -> None:
        for store in (self.memory, self.store):
            store.drop(group)

    @rule(group=GROUPS)
    def read_all(self, group: int) -> None:
        assert dict(self.store.load_all(group)) == dict(self.memory.load_all(group))

    @precondition(lambda self: self.taken is None)
    @rule()
    def begin_checkpoint(self) -> None:
        changes = self.store.take_changes()
        assert sorted(map(repr, changes)) == sorted(map(repr, self.memory.take_changes()))
        self.taken = [self.change(entry) for entry in changes]

    @precondition(lambda self: self.taken is not None)
    @rule(is_full=st.booleans())
    def finish_checkpoint(self, is_full: bool) -> None:
        """Other things may have happened since it began."""
        assert self.taken is not None
        self.state.write(self.taken, b"0")
        self.taken = None
        if is_full:
            disk_store.CACHED_MAX = -1
        self.store.let_go()
        disk_store.CACHED_MAX = 200_000

    @precondition(lambda self: self.taken is None)
    @rule(is_full=st.booleans(), restarts=st.booleans())
    def checkpoint(self, is_full: bool, restarts: bool) -> None:
        self.begin_checkpoint()
        self.finish_checkpoint(is_full)
        if restarts:
            self.open()

    def change(self, entry: Entry) -> StateChange:
        value = None if entry.value is MISSING else self.codec.value(entry.place, entry.value)
        return StateChange(self.codec.key(entry.place), value)

    @invariant()
    def groups_agree(self) -> None:
        assert sorted(self.store.groups()) == sorted(self.memory.groups()) or set(self.memory.groups()) <= set(
            self.store.groups()
        )

    @rule(group=GROUPS, key=KEYS)
    def get(self, group: int, key: Any) -> None:
        assert self.store.load(group, [key]).get(key) == self.memory.load(group, [key]).get(key)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


def test_items_are_everything_on_disk_and_in_memory():
    stores = Stores()
    stores.put(1, "a", 5)
    stores.checkpoint(True, True)
    stores.put(2, "b", 6)
    assert sorted(map(repr, stores.store.items())) == sorted(map(repr, stores.memory.items()))
    assert pytest.approx(2) == len(list(stores.store.items()))
