"""State `rocksdb`: RocksDB by rocksdict, a database per task. Needs the extra: `pip install mainstem[rocksdb]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.spec import PluginConfig
from mainstem.api.state import StateSpec, StateStoreError, TaskState


class RocksConfig(PluginConfig, frozen=True, kw_only=True):
    """`write_buffer_bytes` is how much a task's writes may grow in memory before they are sorted into a file."""

    write_buffer_bytes: Annotated[int, msgspec.Meta(ge=1 << 16)] = 32 << 20


def open_state(config: RocksConfig, context: PluginContext, folder: Path) -> TaskState:
    try:
        from mainstem_plugins.state_rocksdb.task_state import RocksState
    except ImportError as error:
        raise StateStoreError("state in RocksDB needs rocksdict: pip install 'mainstem[rocksdb]'") from error
    return RocksState(config, folder)


@hookimpl
def mainstem_register_states() -> list[StateSpec]:
    return [StateSpec(name="rocksdb", open=open_state, config=RocksConfig)]
