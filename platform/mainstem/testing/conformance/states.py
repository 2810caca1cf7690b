"""The contract of `api.state`, tried on one kind of state."""

from __future__ import annotations

from collections.abc import Callable

from mainstem.api.state import StateChange, StateEntry, TaskState


def check_state(open_state: Callable[[], TaskState]) -> None:
    """`open_state()` opens the same folder each time; it is empty at first, and was closed before it is opened again."""
    state = open_state()
    assert state.position() is None, "a new state has no position"
    assert state.get_many([b"a"]) == [None]
    assert state.first_key(b"", b"") is None
    state.write([StateChange(b"s\0b", b"2"), StateChange(b"s\0a", b"1"), StateChange(b"t\0a", b"")], b"first")
    assert state.get_many([b"s\0a", b"nothing", b"s\0b", b"t\0a"]) == [b"1", None, b"2", b""]
    assert state.position() == b"first", "the position goes with what is written"
    state.close()
    state = open_state()
    assert state.position() == b"first", "what was written is there again"
    assert list(state.scan(b"s\0")) == [StateEntry(b"s\0a", b"1"), StateEntry(b"s\0b", b"2")], "sorted, of this prefix"
    assert state.first_key(b"s\0", b"s\0") == b"s\0a"
    assert state.first_key(b"s\0", b"s\0aa") == b"s\0b"
    assert state.first_key(b"s\0", b"s\0c") is None, "t does not begin with s"
    state.write([StateChange(b"s\0a", b"9"), StateChange(b"s\0a", None), StateChange(b"s\0b", b"3")], b"second")
    assert list(state.scan(b"")) == [StateEntry(b"s\0b", b"3"), StateEntry(b"t\0a", b"")], "the last change counts"
    state.write([], b"third")
    assert state.position() == b"third"
    many = [StateChange(b"m%06d" % number, b"x" * 50) for number in range(5_000)]
    state.write(many, b"many")
    assert [entry.key for entry in state.scan(b"m")] == [change.key for change in many]
    assert all(value == b"x" * 50 for value in state.get_many([change.key for change in many]))
    state.clear()
    assert (state.position(), list(state.scan(b""))) == (None, []), "it begins anew"
    state.close()
