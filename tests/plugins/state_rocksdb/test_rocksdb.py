"""RocksDB as a state of tasks: the contract, and what its users see when it cannot be opened."""

from __future__ import annotations

import pytest

from mainstem.api.state import StateInUse, StateStoreError
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.conformance.states import check_state
from mainstem_plugins.state_rocksdb import mainstem_register_states

[SPEC] = mainstem_register_states()


def test_contract(tmp_path):
    with plugin_context() as context:
        check_state(lambda: SPEC.open(SPEC.config(), context, tmp_path / "state"))


def test_a_folder_that_is_in_use_is_named(tmp_path):
    with plugin_context() as context:
        state = SPEC.open(SPEC.config(), context, tmp_path / "state")
        with pytest.raises(StateInUse, match=r"state in .* cannot be opened"):
            SPEC.open(SPEC.config(), context, tmp_path / "state")
        state.close()


def test_a_folder_is_not_taken_for_one_in_use_because_of_its_name(tmp_path):
    (tmp_path / "lock").write_text("a file")
    with plugin_context() as context, pytest.raises(StateStoreError) as raised:
        SPEC.open(SPEC.config(), context, tmp_path / "lock" / "0")
    assert not isinstance(raised.value, StateInUse)
