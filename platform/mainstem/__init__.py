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
    from mainstem.pipeline.plan.aggregates import Count, Max, Mean, Min, Sum
    from mainstem.pipeline.plan.pipeline import Pipeline
    from mainstem.pipeline.plan.steps import Plugin
    from mainstem.pipeline.plan.windows import Tumbling

_NAMES = {
    "AsyncBroker": "mainstem.app.embedded",
    "Batch": "mainstem.api.batch",
    "Broker": "mainstem.app.embedded",
    "Count": "mainstem.pipeline.plan.aggregates",
    "Fault": "mainstem.broker.faults.rules",
    "Faults": "mainstem.broker.faults.registry",
    "Max": "mainstem.pipeline.plan.aggregates",
    "Mean": "mainstem.pipeline.plan.aggregates",
    "Min": "mainstem.pipeline.plan.aggregates",
    "Pipeline": "mainstem.pipeline.plan.pipeline",
    "Plugin": "mainstem.pipeline.plan.steps",
    "Sum": "mainstem.pipeline.plan.aggregates",
    "Tumbling": "mainstem.pipeline.plan.windows",
    "run": "mainstem.app.run",
}

__all__ = [
    "AsyncBroker",
    "Batch",
    "Broker",
    "Count",
    "Fault",
    "Faults",
    "Max",
    "Mean",
    "Min",
    "Pipeline",
    "Plugin",
    "Sum",
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
