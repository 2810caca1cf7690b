"""Coordinator `embedded`: cluster metadata in a journal file of this broker, or in memory. No other server is needed."""

from __future__ import annotations

from pathlib import Path

from mainstem.api.context import PluginContext
from mainstem.api.coordination import Coordinator, CoordinatorBackend
from mainstem.api.hookspecs import hookimpl
from mainstem.api.spec import PluginConfig


class EmbeddedConfig(PluginConfig, frozen=True, kw_only=True):
    """`compaction_bytes_min`: below this size the journal is never rewritten.

    `cluster_id`: what a new cluster is called, one by chance if it is empty; one that exists keeps its own.
    """

    compaction_bytes_min: int = 1024 * 1024
    cluster_id: str = ""


def open_coordinator(config: PluginConfig, context: PluginContext, directory: Path | None) -> Coordinator:
    from mainstem_plugins.coordinator_embedded.coordinator import EmbeddedCoordinator

    assert isinstance(config, EmbeddedConfig)
    return EmbeddedCoordinator(
        context, directory, compaction_bytes_min=config.compaction_bytes_min, cluster_id=config.cluster_id
    )


@hookimpl
def mainstem_register_coordinators() -> list[CoordinatorBackend]:
    return [CoordinatorBackend(name="embedded", config=EmbeddedConfig, open=open_coordinator)]
