"""Storage `segments`: Kafka's own files, one folder per partition, one `<base offset>.log` per segment."""

from __future__ import annotations

from pathlib import Path

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.spec import PluginConfig
from mainstem.api.storage import LogStore, StorageBackend


class SegmentsConfig(PluginConfig, frozen=True, kw_only=True):
    """`open_files_max`: how many segment files stay open at a time; the least recently used are closed."""

    open_files_max: int = 4096


def open_store(config: PluginConfig, context: PluginContext, directory: Path) -> LogStore:
    from mainstem_plugins.storage_segments.store import SegmentStore

    assert isinstance(config, SegmentsConfig)
    return SegmentStore(directory, context.files, open_files_max=config.open_files_max, log=context.log)


@hookimpl
def mainstem_register_storage() -> list[StorageBackend]:
    return [StorageBackend(name="segments", config=SegmentsConfig, open=open_store)]
