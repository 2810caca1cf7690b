"""The steps of a plan as values. `Pipeline` builds them, `check` looks at them, `compile` makes something
that runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mainstem.api.connector import ConnectorSpec
from mainstem.pipeline.plan.aggregates import Aggregate
from mainstem.pipeline.plan.fields import Selector
from mainstem.pipeline.plan.policies import Policy, Stop
from mainstem.pipeline.plan.windows import Hopping, Tumbling, WindowKind, duration_ms

STOP = Stop()


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
    """`key` and `value` are serializers; None leaves bytes. `on_error` is for records that cannot be decoded."""

    name: str
    topics: tuple[str, ...]
    key: Plugin | None
    value: Plugin | None
    timestamp: Selector | None
    start: str
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSource:
    name: str
    connector: str | ConnectorSpec
    options: Mapping[str, Any] = field(repr=False)
    timestamp: Selector | None
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    name: str
    function: Callable[[Any], Any]
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncMap:
    """`max_in_flight` calls of one batch run at a time; `is_ordered`: results keep the order of the records."""

    name: str
    function: Callable[[Any], Awaitable[Any]]
    max_in_flight: int
    is_ordered: bool
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    name: str
    function: Callable[[Any], Any]
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatMap:
    name: str
    function: Callable[[Any], Any]
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class MapBatches:
    name: str
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBy:
    """`fields` are what the parts of the key are called in a result; one part is the key itself, several are
    a tuple.

    Where state by key follows and more than one task reads, records travel through a topic of the pipeline's own, with
    `key` and `value` as its serializers (None: MessagePack). `moves=False`: they are already where they belong.
    """

    name: str
    fields: tuple[str, ...]
    function: Callable[[Any], Any] | None = None
    moves: bool = True
    partitions: int | None = None
    key: Plugin | None = None
    value: Plugin | None = None
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Each record leaves by the port of the first predicate that is true for its value; without one it is dropped."""

    name: str
    predicates: Mapping[str, Callable[[Any], Any]]
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What comes from several streams, as one."""

    name: str


# With state by key. Each keeps it in a store that has the step's name.


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduplicate:
    """The first record of each key and `selector` (None: of each key alone) within `within_ms` of event time."""

    name: str
    selector: Selector | None
    within_ms: int
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class StatefulMap:
    """`function(value, state)`, or `function(value, state, context)` if `takes_context`. `state_type` makes a fresh state
    when called without arguments, and is what stored ones are decoded to. `on_timer(state, context)` gives results."""

    name: str
    function: Callable[..., Any]
    state_type: Callable[[], Any]
    takes_context: bool
    on_timer: Callable[[Any, Any], Iterable[Any]] | None = None
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, init=False)
class Every:
    """Emit what has changed once in this time of the wall clock: `emit=Every("10s")`."""

    every_ms: int

    def __init__(self, every: str | int) -> None:
        every_ms = duration_ms(every)
        if every_ms < 1:
            raise ValueError(f"{every!r} is no time to wait")
        object.__setattr__(self, "every_ms", every_ms)


Emit = Literal["final", "update"] | Every


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """Of everything that a key ever had. `emit` is `update` or `Every`: nothing is ever final."""

    name: str
    key_fields: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]
    emit: Emit = "update"
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """With what is computed over it. `key_fields` as in `KeyBy`. Times in ms. Late records leave by the port `late`."""

    name: str
    window: WindowKind
    grace_ms: int
    idle_after_ms: int
    key_fields: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]
    emit: Emit = "final"
    on_error: Policy = STOP


JoinKind = Literal["inner", "left", "outer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToTable:
    """The latest value of each key; a null value deletes. Passes changes on."""

    name: str
    key_fields: tuple[str, ...] = ("key",)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableJoin:
    """Port `left` is a stream, and `right` the changes of the table whose step is called `table`, which this step ignores:
    it looks keys up in that step's store. `function(value, table_value)`; `left`: with None where the table has nothing."""

    name: str
    table: str
    function: Callable[[Any, Any], Any]
    kind: JoinKind
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTableJoin:
    """Ports `left` and `right` are changes of the tables `left_table` and `right_table`, which look each other up; results
    are changes of a table too: `function(left value, right value)`, or None where the join has nothing (any more)."""

    name: str
    left_table: str
    right_table: str
    function: Callable[[Any, Any], Any]
    kind: JoinKind
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOfJoin:
    """Each left record with the newest right one of its key that is not younger and at most `within_ms` older.

    Left records wait until the watermark has passed them by `grace_ms`, so results do not depend on who came first.
    """

    name: str
    function: Callable[[Any, Any], Any]
    kind: JoinKind
    within_ms: int
    grace_ms: int
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalJoin:
    """Each pair of one key where `-before_ms <= right time - left time <= after_ms`, as soon as both are there; for `left`
    and `outer`, what has found no partner once none can come any more."""

    name: str
    function: Callable[[Any, Any], Any]
    kind: JoinKind
    before_ms: int
    after_ms: int
    grace_ms: int
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowJoin:
    """Each pair of one key that lies in one window (tumbling or hopping), as soon as both are there; unmatched ones, for
    `left` and `outer`, when the window is final."""

    name: str
    window: Tumbling | Hopping
    function: Callable[[Any, Any], Any]
    kind: JoinKind
    grace_ms: int
    on_error: Policy = STOP


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
    on_error: Policy = STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSink:
    name: str
    connector: str | ConnectorSpec
    options: Mapping[str, Any] = field(repr=False)
    on_error: Policy = STOP


Source = TopicSource | ConnectorSource
Stateless = Map | AsyncMap | Filter | FlatMap | MapBatches | KeyBy
Join = TableJoin | TableTableJoin | AsOfJoin | IntervalJoin | WindowJoin
Stateful = Deduplicate | StatefulMap | Aggregation | Window | ToTable | Join
Sink = TopicSink | ConnectorSink
Step = Source | Stateless | Branch | Merge | Stateful | Sink

MAIN = ""
LATE = "late"
LEFT = "left"
RIGHT = "right"
WINDOW_START = "window_start"
WINDOW_END = "window_end"
