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
    from mainstem.pipeline.aggregates import Count, Max, Mean, Min, Sum
    from mainstem.pipeline.plan import Pipeline
    from mainstem.pipeline.steps import Plugin
    from mainstem.pipeline.windows import Tumbling

_NAMES = {
    "AsyncBroker": "mainstem.app.embedded",
    "Batch": "mainstem.api.batch",
    "Broker": "mainstem.app.embedded",
    "Count": "mainstem.pipeline.aggregates",
    "Fault": "mainstem.broker.faults.rules",
    "Faults": "mainstem.broker.faults.registry",
    "Max": "mainstem.pipeline.aggregates",
    "Mean": "mainstem.pipeline.aggregates",
    "Min": "mainstem.pipeline.aggregates",
    "Pipeline": "mainstem.pipeline.plan",
    "Plugin": "mainstem.pipeline.steps",
    "Sum": "mainstem.pipeline.aggregates",
    "Tumbling": "mainstem.pipeline.windows",
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
