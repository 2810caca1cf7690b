"""Log directories made ready for a cluster of a given id before any broker runs: what `kafka-storage.sh format` is for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from mainstem.api.context import PluginContext
from mainstem.api.storage import StorageBackend
from mainstem.app.compose_broker import open_coordinator, storage_settings
from mainstem.app.log_directories import claim, lock_directories, open_stores
from mainstem.app.plugins import PluginManager
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ConfigError, StorageError
from mainstem.runtime.clock import SystemClock
from mainstem.telemetry.logs import get_logger
from mainstem.telemetry.sensors import Sensors

CLUSTER_ID_SETTING = "coordinator.cluster_id"
"""The broker setting that a new cluster's id is taken from."""


def found_properties(config: BrokerConfig) -> dict[str, Mapping[str, str]]:
    """What each log directory says about itself; empty for one that is not formatted.

    Raises: StorageError for one that cannot be read, DirectoryInUseError while a broker runs on it.
    """
    return asyncio.run(_visit(config, cluster_id=None))


def format_directories(config: BrokerConfig, cluster_id: str) -> None:
    """Founds a cluster of this id; `config` must have it as CLUSTER_ID_SETTING too.

    Raises: StorageError if a directory belongs to another cluster or node, DirectoryInUseError.
    """
    asyncio.run(_visit(config, cluster_id=cluster_id))


async def _visit(config: BrokerConfig, *, cluster_id: str | None) -> dict[str, Mapping[str, str]]:
    plugins = PluginManager()
    storage = plugins.find(StorageBackend, config.log_storage)
    if not storage.is_durable:
        raise ConfigError("log.storage", config.log_storage, "it keeps nothing: there is no directory to format")
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(1))
        context = PluginContext(
            clock=SystemClock(), log=get_logger("mainstem.storage"), executor=executor, sensor=Sensors()
        )
        failures = lock_directories(context.files, config.log_dirs, stack)
        settings = storage_settings(storage, config)
        stores = open_stores(
            config.log_dirs, lambda place: storage.open(settings, context, Path(place)), failures, context
        )
        try:
            if cluster_id is not None:
                coordinator = open_coordinator(plugins, config, storage, context)
                stack.push_async_callback(coordinator.close)
                await coordinator.open()
                founded = await coordinator.cluster_id()
                if founded != cluster_id:
                    raise StorageError(config.log_dirs[0], f"it holds the metadata of the cluster {founded}")
                claim(stores, cluster_id, config.node_id)
            return {store.place: dict(store.read_properties()) for store in stores}
        finally:
            for store in stores:
                store.close(clean=store.was_clean)
