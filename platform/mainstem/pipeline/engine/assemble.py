"""From checked plans to an engine. Everything is made and nothing is opened."""

from __future__ import annotations

from mainstem.api.context import PluginContext
from mainstem.api.transport import Transport
from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.engine.settings import RunSettings
from mainstem.pipeline.plan.catalog import Catalog
from mainstem.pipeline.plan.check import check


def assemble(
    *pipelines: object, catalog: Catalog, transport: Transport, context: PluginContext, settings: RunSettings
) -> Engine:
    """Of one pipeline, given as one or several streams of its name. Raises: PlanError with all mistakes of the plan."""
    (graph,) = check(pipelines, catalog)
    return Engine(graph, catalog=catalog, transport=transport, context=context, settings=settings)
