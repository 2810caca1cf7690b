"""A Faust app that hosts pipelines: one connection, one broker in the process, one start and one stop for both."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar

import faust
from mode import Service

from mainstem.app.environment import Environment
from mainstem.app.instances import claimed_instance
from mainstem.app.plugins import PluginManager
from mainstem.app.run_options import RunOptions
from mainstem.faust.driver import Transport
from mainstem.model.errors import ConfigError
from mainstem.pipeline.engine.counters import register
from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.pipeline import Pipeline

T = TypeVar("T", bound=Pipeline[Any])


class MainstemApp(faust.App):
    """`faust.App`, whose `broker` is one of ours, and `add_pipeline`.

    app = MainstemApp("shop", broker="mainstem://")
    app.add_pipeline(Pipeline("totals").source("orders", value="json")....sink("totals", value="json"))
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._pipelines: list[Pipeline[Any]] = []
        self._exactly_once: set[str] = set()
        options.setdefault("broker", "mainstem://")
        super().__init__(*args, **options)

    def add_pipeline(self, pipeline: T, *, exactly_once: bool = False) -> T:
        """Runs from the app's start to its stop, which takes a checkpoint. An error of it ends the app.

        Before the app starts. Mistakes in the plan are told at the start, before anything runs.
        """
        if self.started:
            raise ConfigError("pipeline", str(pipeline), "the app runs already: add pipelines before it starts")
        self._pipelines.append(pipeline)
        if exactly_once:
            self._exactly_once.add(pipeline.name)
        return pipeline

    def on_init_dependencies(self) -> Iterable[Any]:
        services = list(super().on_init_dependencies())
        if self._pipelines and not self.client_only and not self.producer_only:
            if not isinstance(self.transport, Transport):
                raise ConfigError(
                    "broker", str(self.conf.broker), "pipelines need mainstem://, memory:// or mainstem+kafka://"
                )
            services.append(Pipelines(self, self._pipelines, self._exactly_once, beacon=self.beacon))
        return services


class Pipelines(Service):
    """The app's pipelines as one of its services."""

    def __init__(
        self, app: MainstemApp, pipelines: list[Pipeline[Any]], exactly_once: Collection[str], **kwargs: Any
    ) -> None:
        """`exactly_once`: names."""
        self.app = app
        self._pipelines = pipelines
        self._exactly_once = exactly_once
        self._engines: list[Engine] = []
        self._runs: list[Any] = []
        self._claim = ExitStack()
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        plugins = PluginManager()
        plans = check(self._pipelines, plugins)
        transport: Any = self.app.transport
        await transport.acquire()
        environment = transport.session.environment
        instance = self._claim.enter_context(claimed_instance(self.app.conf.appdir)) if self._exactly_once else ""
        for plan in plans:
            is_exact = plan.name in self._exactly_once
            options = replace(transport.options, exactly_once=is_exact)
            engine = Engine(
                plan,
                catalog=plugins,
                transport=environment.transport,
                context=environment.context,
                settings=_settings(options, environment, f"{plan.name}-{instance}" if is_exact else None),
            )
            await engine.open()
            self._engines.append(engine)
        register(environment.context.sensor, [engine.counters for engine in self._engines])
        self._runs = [self.add_future(engine.run()) for engine in self._engines]

    async def on_stop(self) -> None:
        for engine in self._engines:
            engine.stop()
        for run in self._runs:
            await run
        for engine in reversed(self._engines):
            await engine.close()
        transport: Any = self.app.transport
        await transport.release()
        self._claim.close()


def _settings(options: RunOptions, environment: Environment, transactional_id: str | None) -> RunSettings:
    """Those of an endless run with the app's options. Raises: ConfigError."""
    options.check_transactions(environment.transport.traits.transactions)
    return RunSettings(
        once=False,
        exactly_once=options.exactly_once,
        transactional_id=transactional_id,
        engine=EngineSettings(commit_interval_ms=options.effective_commit_interval_ms),
    )
