"""The steps of a plan as values. `Pipeline` builds them, `check` looks at them, `compile` makes something
that runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mainstem.api.connector import ConnectorSpec
from mainstem.pipeline.plan.aggregates import Aggregate
from mainstem.pipeline.plan.fields import Selector
from mainstem.pipeline.plan.windows import Tumbling


class Plugin:
    """A plugin by name with its settings: `value=Plugin("avro", schema="flight.avsc")`.

    Where a plugin needs no settings its name alone will do: `value="json"`.
    """

    __slots__ = ("name", "options")

    def __init__(self, name: str, /, **options: Any) -> None:
        self.name = name
        self.options: Mapping[str, Any] = options

    def __repr__(self) -> str:
        return f"Plugin({self.name!r})" if not self.options else f"Plugin({self.name!r}, …)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSource:
    """`key` and `value` are serializers; None leaves bytes."""

    name: str
    topics: tuple[str, ...]
    key: Plugin | None
    value: Plugin | None
    timestamp: Selector | None
    start: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSource:
    name: str
    connector: str | ConnectorSpec
    options: Mapping[str, Any] = field(repr=False)
    timestamp: Selector | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    name: str
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    name: str
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatMap:
    name: str
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapBatches:
    name: str
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBy:
    """`fields` are what the parts of the key are called in a result; one part is the key itself, several are
    a tuple.
    """

    name: str
    fields: tuple[str, ...]
    function: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """With what is computed over it. `key_fields` as in `KeyBy`. Times in ms."""

    name: str
    window: Tumbling
    grace_ms: int
    idle_after_ms: int
    key_fields: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSink:
    """`key` and `value` are serializers; None writes bytes as they are and text as UTF-8.

    `partitions` and `configs` are for a topic that does not exist yet.
    """

    name: str
    topic: str
    key: Plugin | None
    value: Plugin | None
    partitioner: Plugin
    partitions: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSink:
    name: str
    connector: str | ConnectorSpec
    options: Mapping[str, Any] = field(repr=False)


Source = TopicSource | ConnectorSource
Operator = Map | Filter | FlatMap | MapBatches | KeyBy | Window
Sink = TopicSink | ConnectorSink
Step = Source | Operator | Sink

WINDOW_START = "window_start"
WINDOW_END = "window_end"
