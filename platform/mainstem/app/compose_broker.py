"""Put one broker together, start it, stop it. The only place that constructs the objects of runtime and broker."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from mainstem.api.context import Clock, Log, PluginContext
from mainstem.api.coordination import Coordinator, CoordinatorBackend
from mainstem.api.files import FileSystem, OsFiles
from mainstem.api.spec import PluginConfig, configure
from mainstem.api.storage import StorageBackend
from mainstem.app import broker_metrics, coordinator_metrics
from mainstem.app.compose_transactions import open_transactions
from mainstem.app.log_directories import claim, lock_directories, open_stores
from mainstem.app.metrics_endpoint import MetricsEndpoint
from mainstem.app.plugins import PluginManager
from mainstem.broker.dispatch import Dispatcher
from mainstem.broker.faults.attachment import attach
from mainstem.broker.faults.registry import Faults
from mainstem.broker.memory import REQUEST_BYTES_MAX_DEFAULT, Memory
from mainstem.broker.routes import ROUTES
from mainstem.broker.server import BoundListener, Server, bind
from mainstem.broker.services import Services
from mainstem.core.fetch.session import FetchSessions
from mainstem.model.cluster import BrokerRegistration, Endpoint
from mainstem.model.configs.broker import BrokerConfig
from mainstem.runtime.cleaner import Cleaner
from mainstem.runtime.clock import SystemClock
from mainstem.runtime.groups import Groups
from mainstem.runtime.housekeeping import Housekeeping, Job
from mainstem.runtime.local_node import RuntimeNode
from mainstem.runtime.local_transactions import TransactionParts
from mainstem.runtime.metadata import Metadata
from mainstem.runtime.partitions import Partitions
from mainstem.telemetry.loggers import Loggers
from mainstem.telemetry.logs import get_logger, kafka_level
from mainstem.telemetry.sensors import Sensors

THREADS = 4
FETCH_SESSION_EVICTION_MS = 120_000
"""How long a fetch session must have been unused before another may take its slot, as in Kafka."""
FETCH_SESSION_ID_MAX = 0x7FFFFFFE
IDLE_CHECK_INTERVAL_MS = 10_000


class BrokerNode:
    """One running broker. Made by `start_broker`; `close` undoes everything in reverse order."""

    def __init__(
        self,
        services: Services,
        local_node: RuntimeNode,
        endpoints: tuple[Endpoint, ...],
        sensors: Sensors,
        metrics_port: int | None,
        stack: AsyncExitStack,
    ) -> None:
        self.services = services
        self.local_node = local_node
        self.endpoints = endpoints
        self.sensors = sensors
        self.metrics_port = metrics_port
        self._stack = stack

    @property
    def bootstrap_servers(self) -> str:
        first = self.endpoints[0]
        host = first.host if first.host not in ("", "0.0.0.0", "::") else "127.0.0.1"
        return f"{host}:{first.port}"

    async def close(self) -> None:
        await self._stack.aclose()


async def start_broker(
    config: BrokerConfig,
    *,
    plugins: PluginManager | None = None,
    clock: Clock | None = None,
    log: Log | None = None,
    files: FileSystem | None = None,
    faults: Faults | None = None,
) -> BrokerNode:
    """Bind, recover, register, serve. Raises: ConfigError, PluginError, StorageError; nothing is left open then."""
    async with AsyncExitStack() as stack:
        # Everything is handed to the loggers, whose levels clients may change; a log of the caller's gets all of it.
        level = kafka_level() if log is None else "TRACE"
        log = loggers = Loggers(log or get_logger("mainstem.broker", "debug"), level)
        executor = ThreadPoolExecutor(THREADS, thread_name_prefix="mainstem-broker")
        stack.callback(executor.shutdown)
        sensors = Sensors()
        context = PluginContext(
            clock=clock or SystemClock(), log=log, executor=executor, sensor=sensors, files=files or OsFiles()
        )
        plugins = plugins or PluginManager()
        listeners = bind(config.listeners)
        for listener in listeners:
            stack.callback(listener.socket.close)
        services = await _open_services(config, plugins, context, listeners, stack, loggers)
        dispatcher = Dispatcher(services, ROUTES)
        server = Server(dispatcher)
        stack.push_async_callback(server.close)
        if faults is None and config.faults_enable:
            faults = Faults(config.faults_seed)
        if faults is not None:
            stack.callback(attach(dispatcher, services, faults))
        await server.start(listeners)
        housekeeping = Housekeeping(_jobs(services, dispatcher), log)
        stack.push_async_callback(housekeeping.close)
        housekeeping.start()
        broker_metrics.register(sensors, services)
        coordinator_metrics.register(sensors, services)
        if config.log_cleaner_enable:
            cleaner = Cleaner(services.partitions, lambda: services.metadata.config, context.clock, log)
            services.metadata.subscribe(cleaner.follow)
            stack.push_async_callback(cleaner.close)
            cleaner.start()
            broker_metrics.register_cleaner(sensors, cleaner, services.partitions, context.clock)
        metrics_port = None
        if config.metrics_port is not None:
            endpoint = MetricsEndpoint(sensors, plugins, faults if config.faults_enable else None)
            await endpoint.start(config.metrics_host, config.metrics_port)
            stack.push_async_callback(endpoint.close)
            metrics_port = endpoint.port
        parts = TransactionParts(
            transactions=services.transactions,
            verifier=services.transaction_verifier,
            partitions=services.partitions,
            groups=services.groups,
        )
        node = RuntimeNode(services.metadata, parts, executor)
        endpoints = tuple(listener.endpoint for listener in listeners)
        return BrokerNode(services, node, endpoints, sensors, metrics_port, stack.pop_all())


async def _open_services(
    config: BrokerConfig,
    plugins: PluginManager,
    context: PluginContext,
    listeners: list[BoundListener],
    stack: AsyncExitStack,
    loggers: Loggers,
) -> Services:
    """Metadata, partitions (recovered) and groups, each registered on `stack` for closing."""
    storage = plugins.find(StorageBackend, config.log_storage)
    directories = config.log_dirs if storage.is_durable else config.log_dirs[:1]
    failures = lock_directories(context.files, directories, stack) if storage.is_durable else {}
    coordinator = open_coordinator(plugins, config, storage, context)
    stack.push_async_callback(coordinator.close)
    changes = await coordinator.open()
    registration = BrokerRegistration(
        broker_id=config.node_id, epoch=0, endpoints=_advertised(config, listeners), rack=config.broker_rack
    )
    metadata = Metadata(config, coordinator)
    stack.push_async_callback(metadata.close)
    await metadata.start(registration, changes)
    settings = storage_settings(storage, config)
    stores = open_stores(directories, lambda place: storage.open(settings, context, place), failures, context)
    if storage.is_durable:
        claim(stores, await coordinator.cluster_id(), config.node_id)
    partitions = Partitions(
        config.node_id,
        config,
        stores,
        context.executor,
        context.clock,
        context.log,
        is_durable=storage.is_durable,
        failures=[failures.get(directory) for directory in directories],
    )
    partitions.broker_epoch = metadata.broker_epoch
    partitions.load(metadata.image)
    stack.push_async_callback(partitions.close)
    recovered = await partitions.recover()
    if recovered:
        context.log.warning("storage.recovered_after_unclean_stop", batches_read=recovered)
    metadata.subscribe(partitions.follow)
    groups = Groups(config, metadata, partitions, context.clock, context.log)
    stack.push_async_callback(groups.close)
    transactional = open_transactions(config, metadata, partitions, groups, context, stack)
    return Services(
        broker_id=config.node_id,
        cluster_id=await coordinator.cluster_id(),
        config=config,
        clock=context.clock,
        log=context.log,
        loggers=loggers,
        metadata=metadata,
        partitions=partitions,
        groups=groups,
        producer_ids=transactional.producer_ids,
        transactions=transactional.transactions,
        transaction_verifier=transactional.verifier,
        markers=transactional.markers,
        executor=context.executor,
        served_versions={key: (route.first_version, route.last_version) for key, route in ROUTES.items()},
        fetch_sessions=FetchSessions(
            config.max_incremental_fetch_session_cache_slots,
            FETCH_SESSION_EVICTION_MS,
            lambda: secrets.randbelow(FETCH_SESSION_ID_MAX) + 1,
        ),
        memory=Memory(
            config.queued_max_request_bytes if config.queued_max_request_bytes > 0 else REQUEST_BYTES_MAX_DEFAULT
        ),
    )


def open_coordinator(
    plugins: PluginManager, config: BrokerConfig, storage: StorageBackend, context: PluginContext
) -> Coordinator:
    backend = plugins.find(CoordinatorBackend, config.coordinator)
    # A broker that keeps its records in memory keeps its metadata there as well: topics without records help nobody.
    directory = Path(config.log_dirs[0]) if storage.is_durable else None
    if directory is not None and storage.open_files is not None:
        settings = storage_settings(storage, config)
        context = replace(context, files=storage.open_files(settings, context, directory))
    given = config.plugin_settings("coordinator.")
    return backend.open(configure(backend.config, given, owner=f"coordinator {backend.name}"), context, directory)


def storage_settings(storage: StorageBackend, config: BrokerConfig) -> PluginConfig:
    return configure(storage.config, config.plugin_settings("log.storage."), owner=f"storage {storage.name}")


def _advertised(config: BrokerConfig, listeners: list[BoundListener]) -> tuple[Endpoint, ...]:
    """advertised.listeners where given; for the others the bound address (an unspecified host is answered per client)."""
    given = {endpoint.listener: endpoint for endpoint in config.advertised_listeners or ()}
    return tuple(given.get(listener.endpoint.listener, listener.endpoint) for listener in listeners)


def _jobs(services: Services, dispatcher: Dispatcher) -> list[Job]:
    config, partitions = services.config, services.partitions

    async def retention() -> None:
        await partitions.delete_old_segments()
        partitions.expire_producers()

    async def idle_connections() -> None:
        dispatcher.close_idle(config.connections_max_idle_ms)

    return [
        Job(name="retention", interval_ms=config.log_retention_check_interval_ms, run=retention),
        Job(
            name="checkpoints",
            interval_ms=config.log_flush_offset_checkpoint_interval_ms,
            run=partitions.save_checkpoints,
        ),
        Job(name="idle-connections", interval_ms=IDLE_CHECK_INTERVAL_MS, run=idle_connections),
    ]
