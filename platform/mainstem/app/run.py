"""`run(pipeline)`: the last line of a script. Starts a broker in this process or goes to a cluster, and runs pipelines.

The same script runs as `python script.py [flags]` and as `mainstem run script.py [flags]`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mainstem.api.context import PluginContext
from mainstem.api.state import StateSpec
from mainstem.api.transport import Transport, TransportError
from mainstem.app.collector import settled_collector
from mainstem.app.environment import open_environment
from mainstem.app.instances import claimed_instance
from mainstem.app.loops import new_event_loop
from mainstem.app.plugins import PluginManager
from mainstem.app.progress import Progress, tell_summaries
from mainstem.app.queries_endpoint import answer_queries
from mainstem.app.reloading import is_reloaded, run_reloading
from mainstem.app.run_options import MEMORY, RunOptions, from_arguments, from_flags
from mainstem.app.telling import tell
from mainstem.app.workers import is_worker, run_workers, tell_address, worker_broker
from mainstem.model.errors import ConfigError, MainstemError
from mainstem.pipeline.engine.counters import register
from mainstem.pipeline.engine.engine import Engine, Summary
from mainstem.pipeline.engine.queries import Queries
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.engine.worker import EngineSettings
from mainstem.pipeline.errors import PipelineError
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.graph import Graph
from mainstem.pipeline.plan.guarantee import guarantees
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.steps import TopicSink, TopicSource
from mainstem.telemetry import logs

EXIT_FAILURE = 1
DEFAULT_LEVEL = "warning"


class Captured(BaseException):
    """Ends a script at its call of `run`, for commands that only want to know its plans. Not an Exception: scripts catch those."""


class Process:
    """What commands need to know of a script: whether it has called `run`. `captured` is a list while they want its plans."""

    has_run = False
    captured: list[object] | None = None


def run(
    pipeline: Pipeline[Any],
    *more: Pipeline[Any],
    broker: str | None = None,
    broker_config: Path | str | None = None,
    data: Path | str | None = None,
    metrics_port: int | None = None,
    once: bool | None = None,
    exactly_once: bool | None = None,
    workers: int | None = None,
    state: str | None = None,
    commit_interval_ms: int | None = None,
) -> list[Summary]:
    """Run pipelines until they end, or until SIGINT or SIGTERM, which end them cleanly.

    In a script that was started itself the command line's flags go before the arguments here. A failure is printed and
    ends the process with status 1; `run_async` raises it instead.
    """
    if Process.captured is not None:
        Process.captured += [pipeline, *more]
        raise Captured
    Process.has_run = True
    try:
        logs.configure(default_level=DEFAULT_LEVEL)  # for what is wrong with the options themselves
        given = {
            "broker": broker,
            "broker_config": None if broker_config is None else Path(broker_config),
            "data": None if data is None else Path(data),
            "metrics_port": metrics_port,
            "once": once,
            "exactly_once": exactly_once,
            "workers": workers,
            "state": state,
            "commit_interval_ms": commit_interval_ms,
        }
        options = from_arguments(RunOptions(), given)
        if sys._getframe(1).f_globals.get("__name__") == "__main__":
            options = from_flags(options, Path(sys.argv[0]).name, sys.argv[1:])
        return run_with(options, [pipeline, *more])
    except MainstemError as error:
        tell(f"mainstem: {error}", "run.failed", is_failure=True, **facts_of(error))
        raise SystemExit(EXIT_FAILURE) from error


def run_with(options: RunOptions, pipelines: Sequence[object]) -> list[Summary]:
    """With progress and a summary on standard error. Raises: MainstemError."""
    configure_logs(options)
    if options.reload and not is_reloaded():
        if status := run_reloading(Path(sys.argv[0]), options.reload_dirs):
            raise SystemExit(status)
        return []
    if options.workers > 1 and not is_worker():
        check(pipelines, plugins := PluginManager())
        with asyncio.Runner() as runner:
            status = runner.run(run_workers(options, plugins))
        if status:
            raise SystemExit(status)
        return []
    broker = worker_broker()
    if broker is not None:
        options = replace(options, broker=broker)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        summaries = runner.run(run_async(pipelines, options, is_interactive=True))
    tell_summaries(summaries)
    return summaries


def configure_logs(options: RunOptions) -> None:
    """Raises: ConfigError."""
    logs.configure(options.log_level, options.log_format, default_level=DEFAULT_LEVEL)


def facts_of(error: MainstemError) -> dict[str, object]:
    """For the log."""
    facts: dict[str, object] = {"error": str(error)}
    if isinstance(error, PipelineError):
        facts |= {"pipeline": error.pipeline, "stage": error.stage, "place": error.place}
    return facts


async def run_async(
    pipelines: Sequence[object],
    options: RunOptions,
    *,
    plugins: PluginManager | None = None,
    is_interactive: bool = False,
) -> list[Summary]:
    """Run pipelines on the running loop. `is_interactive`: show progress, and take signals as the wish to stop.

    Raises: PlanError, ConfigError, PluginError, TransportError before anything runs; PipelineError from the first pipeline
    that failed, after the others were stopped with a checkpoint.
    """
    plugins = plugins or PluginManager()
    plans = check(pipelines, plugins)
    waits_for = feeders(plans) if options.once else {}
    async with AsyncExitStack() as stack:
        context, broker, transport, endpoint = await open_environment(options, plugins, stack)
        if broker is not None and is_interactive and not options.once:
            tell_address(broker, options)
        options.check_transactions(transport.traits.transactions)
        state = None if options.state == MEMORY else plugins.find(StateSpec, options.state)
        # A run on a cluster leaves nothing on a disk where nobody has made it a place.
        takes_snapshots = state is None and transport.traits.is_durable and options.data.is_dir()
        needs_name = options.exactly_once or state is not None or takes_snapshots
        instance = stack.enter_context(claimed_instance(options.data)) if needs_name else ""
        engines = [
            Engine(
                plan,
                catalog=plugins,
                transport=transport,
                context=context,
                settings=RunSettings(
                    once=options.once,
                    exactly_once=options.exactly_once,
                    transactional_id=f"{plan.name}-{instance}" if options.exactly_once else None,
                    state=state,
                    state_folder=options.data / "state" / instance,
                    snapshot_folder=options.data / "state" / instance if takes_snapshots else None,
                    engine=EngineSettings(commit_interval_ms=options.effective_commit_interval_ms),
                ),
            )
            for plan in plans
        ]
        counters = [engine.counters for engine in engines]
        register(context.sensor, counters)
        if endpoint is not None:
            queries = {engine.pipeline: Queries(engine) for engine in engines}
            endpoint.answer_pipelines = partial(answer_queries, queries)
        for engine in engines:
            stack.push_async_callback(engine.close)
        for engine in engines:
            await engine.open()
        for plan in plans:
            _tell_guarantees(plan, plugins, options, transport, context, is_interactive=is_interactive)
        if is_interactive:
            stack.enter_context(settled_collector())
            _stop_on_signals(engines, stack)
            if not logs.is_json():
                watching = asyncio.create_task(stack.enter_context(Progress(counters)).watch())
                stack.callback(watching.cancel)
        return await _run_engines(engines, waits_for)


def _tell_guarantees(
    plan: Graph,
    plugins: PluginManager,
    options: RunOptions,
    transport: Transport,
    context: PluginContext,
    *,
    is_interactive: bool,
) -> None:
    told = guarantees(
        plan,
        plugins,
        exactly_once=options.exactly_once,
        transport=f"{options.broker_parts[0]}://",
        transactions=transport.traits.transactions,
    )
    for one in told:
        facts: dict[str, Any] = {"pipeline": plan.name, "stage": one.sink, "guarantee": one.level, "reason": one.reason}
        if not is_interactive:
            context.log.info("pipeline.guarantee", **facts)
        else:
            tell(f"pipeline {plan.name}, {one}", "run.guarantee", **facts)


def feeders(plans: Sequence[Graph]) -> Mapping[str, set[str]]:
    """Which pipelines each one waits for, because they write a topic that it reads. Raises: ConfigError for a circle."""
    writes = {plan.name: {step.topic for step in plan.steps if isinstance(step, TopicSink)} for plan in plans}
    reads = {
        plan.name: {topic for step in plan.steps if isinstance(step, TopicSource) for topic in step.topics}
        for plan in plans
    }
    waits_for = {name: {other for other in writes if other != name and writes[other] & reads[name]} for name in reads}
    settled: set[str] = set()
    while len(settled) < len(waits_for):
        ready = {name for name, others in waits_for.items() if others <= settled} - settled
        if not ready:
            circle = ", ".join(sorted(waits_for.keys() - settled))
            raise ConfigError("once", True, f"pipelines {circle} feed each other in a circle and would never end")
        settled |= ready
    return waits_for


async def _run_engines(engines: Sequence[Engine], waits_for: Mapping[str, set[str]]) -> list[Summary]:
    """All at once, except those that wait. One that fails stops the others, and its error is raised."""
    runs: dict[str, asyncio.Task[Summary]] = {}

    async def run_one(engine: Engine) -> Summary:
        for name in waits_for.get(engine.pipeline, ()):
            await asyncio.wait([runs[name]])
        return await engine.run()

    for engine in engines:
        runs[engine.pipeline] = asyncio.create_task(run_one(engine))
    try:
        await asyncio.wait(runs.values(), return_when=asyncio.FIRST_EXCEPTION)
        for engine in engines:
            engine.stop()
        await asyncio.wait(runs.values())
    except asyncio.CancelledError:
        for task in runs.values():
            task.cancel()
        await asyncio.gather(*runs.values(), return_exceptions=True)
        raise
    failures = [error for task in runs.values() if (error := task.exception()) is not None]
    if failures:
        raise failures[0]
    return [task.result() for task in runs.values()]


def _stop_on_signals(engines: Sequence[Engine], stack: AsyncExitStack) -> None:
    """The first signal asks for a clean end. A second one ends the process as if nobody listened."""
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        for engine in engines:
            engine.stop()
        loop.remove_signal_handler(number)

    if sys.platform == "win32":
        return  # loops there take no signals; Ctrl-C is a KeyboardInterrupt
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError, RuntimeError):  # only the main thread gets signals; elsewhere nobody waits for them
            loop.add_signal_handler(number, stop, number)
            stack.callback(loop.remove_signal_handler, number)


__all__ = ["RunOptions", "TransportError", "run", "run_async", "run_with"]
