"""Storage `memory`: batches in lists, gone with the process. For tests, demos, and topics that may be lost."""

from __future__ import annotations

from pathlib import Path

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.spec import PluginConfig
from mainstem.api.storage import LogStore, StorageBackend


def open_store(config: PluginConfig, context: PluginContext, directory: Path) -> LogStore:
    from mainstem_plugins.storage_memory.store import MemoryStore

    return MemoryStore()


@hookimpl
def mainstem_register_storage() -> list[StorageBackend]:
    return [StorageBackend(name="memory", open=open_store, is_durable=False)]
