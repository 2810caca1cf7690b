"""mainstem: the Kafka you can `pip install`.

A lazy table of public names: `import mainstem` costs nothing until a name is used (PEP 562). No room imports it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstem.api.batch import Batch
    from mainstem.app.embedded import AsyncBroker, Broker
    from mainstem.app.run import run
    from mainstem.broker.faults.registry import Faults
    from mainstem.broker.faults.rules import Fault
    from mainstem.pipeline.plan.aggregates import (
        Collect,
        Count,
        CountDistinct,
        First,
        Last,
        Max,
        Mean,
        Min,
        Reduce,
        Sum,
        TopK,
    )
    from mainstem.pipeline.plan.pipeline import Pipeline
    from mainstem.pipeline.plan.policies import Dlq, Retry, Skip, Stop
    from mainstem.pipeline.plan.steps import Every, Plugin
    from mainstem.pipeline.plan.table import Table
    from mainstem.pipeline.plan.windows import CountWindow, Hopping, Session, Sliding, Tumbling
    from mainstem.testing.pipeline_test import PipelineTest

_NAMES = {
    "AsyncBroker": "mainstem.app.embedded",
    "Batch": "mainstem.api.batch",
    "Broker": "mainstem.app.embedded",
    "Collect": "mainstem.pipeline.plan.aggregates",
    "Count": "mainstem.pipeline.plan.aggregates",
    "CountDistinct": "mainstem.pipeline.plan.aggregates",
    "CountWindow": "mainstem.pipeline.plan.windows",
    "Dlq": "mainstem.pipeline.plan.policies",
    "Every": "mainstem.pipeline.plan.steps",
    "Fault": "mainstem.broker.faults.rules",
    "Faults": "mainstem.broker.faults.registry",
    "First": "mainstem.pipeline.plan.aggregates",
    "Hopping": "mainstem.pipeline.plan.windows",
    "Last": "mainstem.pipeline.plan.aggregates",
    "Max": "mainstem.pipeline.plan.aggregates",
    "Mean": "mainstem.pipeline.plan.aggregates",
    "Min": "mainstem.pipeline.plan.aggregates",
    "Pipeline": "mainstem.pipeline.plan.pipeline",
    "PipelineTest": "mainstem.testing.pipeline_test",
    "Plugin": "mainstem.pipeline.plan.steps",
    "Reduce": "mainstem.pipeline.plan.aggregates",
    "Retry": "mainstem.pipeline.plan.policies",
    "Session": "mainstem.pipeline.plan.windows",
    "Skip": "mainstem.pipeline.plan.policies",
    "Sliding": "mainstem.pipeline.plan.windows",
    "Stop": "mainstem.pipeline.plan.policies",
    "Sum": "mainstem.pipeline.plan.aggregates",
    "Table": "mainstem.pipeline.plan.table",
    "TopK": "mainstem.pipeline.plan.aggregates",
    "Tumbling": "mainstem.pipeline.plan.windows",
    "run": "mainstem.app.run",
}

__all__ = [
    "AsyncBroker",
    "Batch",
    "Broker",
    "Collect",
    "Count",
    "CountDistinct",
    "CountWindow",
    "Dlq",
    "Every",
    "Fault",
    "Faults",
    "First",
    "Hopping",
    "Last",
    "Max",
    "Mean",
    "Min",
    "Pipeline",
    "PipelineTest",
    "Plugin",
    "Reduce",
    "Retry",
    "Session",
    "Skip",
    "Sliding",
    "Stop",
    "Sum",
    "Table",
    "TopK",
    "Tumbling",
    "run",
]


def __getattr__(name: str) -> Any:
    try:
        room = _NAMES[name]
    except KeyError:
        raise AttributeError(f"module 'mainstem' has no name {name!r}; it has {', '.join(sorted(_NAMES))}") from None
    return getattr(import_module(room), name)


def __dir__() -> list[str]:
    return sorted(_NAMES)
