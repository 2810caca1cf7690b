"""Storage `segments`: Kafka's own files, one folder per partition, one `<base offset>.log` per segment."""

from __future__ import annotations

from pathlib import Path

from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.spec import PluginConfig
from mainstem.api.storage import LogStore, StorageBackend


class SegmentsConfig(PluginConfig, frozen=True, kw_only=True):
    """`open_files_max`: how many segment files stay open at a time, at most half of what the process may open; the least recently
    used are closed."""

    open_files_max: int = 4096


def open_store(config: PluginConfig, context: PluginContext, directory: Path) -> LogStore:
    from mainstem_plugins.storage_segments.store import SegmentStore

    assert isinstance(config, SegmentsConfig)
    open_files_max = min(config.open_files_max, allowed_files() // 2)
    return SegmentStore(directory, context.files, open_files_max=open_files_max, log=context.log)


def allowed_files() -> int:
    """RLIMIT_NOFILE, after raising it as far as this process may."""
    try:
        import resource
    except ImportError:  # Windows
        return 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # macOS reports a limit that it does not grant
    return soft if soft > 0 else 1 << 20


@hookimpl
def mainstem_register_storage() -> list[StorageBackend]:
    return [StorageBackend(name="segments", config=SegmentsConfig, open=open_store)]
