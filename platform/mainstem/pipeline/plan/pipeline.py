"""`Pipeline`: what shall be done with records, written down. Nothing runs and nothing is opened before `run`.

    delays = (
        Pipeline("delays")
        .source("flights", value=Plugin("avro", schema="flight.avsc"), timestamp="scheduled")
        .filter(lambda flight: flight["dep_delay"] is not None)
        .key_by("origin")
        .window(Tumbling("1d"), grace="1h")
        .aggregate(flights=Count(), mean_delay=Mean("dep_delay"))
        .sink("delays", value="json")
    )

Every call returns a new plan; the old one stays as it was and may be continued in another way. Streams of one name that
are given to `run` together are one pipeline.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorSpec
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.aggregates import Aggregate
from mainstem.pipeline.plan.building import Builder, key_fields
from mainstem.pipeline.plan.endpoints import EndpointBuilder
from mainstem.pipeline.plan.fields import Selector
from mainstem.pipeline.plan.graph import Input, Node
from mainstem.pipeline.plan.joining import JoinBuilder
from mainstem.pipeline.plan.policies import Policy
from mainstem.pipeline.plan.steps import Emit, Plugin, Step
from mainstem.pipeline.plan.stream import Stream
from mainstem.pipeline.plan.table import Table
from mainstem.pipeline.plan.windowed import WindowedPipeline
from mainstem.pipeline.plan.windows import WindowKind

V = TypeVar("V")
R = TypeVar("R")
L = TypeVar("L")
Named = str | Plugin


class Pipeline(Stream, Generic[V]):
    """A stream of values of type `V`, and the plan that makes it.

    `name` is also its consumer group, the beginning of the names of its internal topics and what its metrics are labelled
    with: letters, digits, `.`, `_` and `-`. `on_error` is for all stages that have none of their own: Stop(), Skip(),
    Dlq("topic") or Retry(5, backoff="100ms", then=...).
    """

    __slots__ = ()

    # Where records come from and go to.

    def source(
        self,
        *topics: str,
        connector: str | ConnectorSpec | None = None,
        timestamp: Selector | None = None,
        on_error: Policy | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Pipeline[Any]:
        """Where records come from: topics, or a connector plugin with its settings.

        Topics: `key` and `value` name serializers (without, they stay bytes); `start` is where a group without committed
        offsets begins, `earliest` or `latest`. `timestamp` is a field or function that gives the event time (ms, datetime
        or ISO 8601); without it the record's timestamp counts. `on_error` is for records that cannot be decoded.
        """
        builder = Builder(self.name)
        policy = builder.policy("source", on_error, self.on_error)
        asked = EndpointBuilder(builder, self._step_name("source", name), connector, topics, options, policy)
        return self._then(Node(asked.source(timestamp)))

    def table(
        self, topic: str, /, *, key: Named | None = None, value: Named | None = None, name: str | None = None
    ) -> Table[Any]:
        """The latest value of each key of a topic, a null value deletes: for joins and for queries."""
        return self.source(topic, key=key, value=value, name=name and f"{name}-source").to_table(name=name)

    def sink(
        self,
        *topics: str,
        connector: str | ConnectorSpec | None = None,
        on_error: Policy | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Pipeline[V]:
        """Where records go: a topic, or a connector plugin with its settings. The plan may go on after it.

        Topics: `key` and `value` name serializers (without, bytes are written as they are and text as UTF-8);
        `partitioner` (murmur2); the topic is created with `partitions` (1) and `configs` if it does not exist; records
        carry their event time. `on_error` is for records that cannot be serialized or that the connector refuses.
        """
        builder = Builder(self.name)
        policy = builder.policy("sink", on_error, self.on_error)
        asked = EndpointBuilder(builder, self._step_name("sink", name), connector, topics, options, policy)
        return self._with(asked.sink())

    # One record after the other.

    def map(
        self,
        function: Callable[[V], R] | Callable[[V], Awaitable[R]],
        *,
        max_in_flight: int = 100,
        ordered: bool = True,
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Pipeline[R]:
        """Replace every value by `function(value)`.

        Of an async function up to `max_in_flight` calls run at a time; with `ordered=False` results go on in the order in
        which they come (within what was read together), with their keys and times.
        """
        builder = Builder(self.name)
        builder.function("map", function, may_be_async=True)
        policy, step_name = builder.policy("map", on_error, self.on_error), self._step_name("map", name)
        if not inspect.iscoroutinefunction(function):
            return self._with(steps.Map(name=step_name, function=function, on_error=policy))
        builder.above_zero("map", "max_in_flight", max_in_flight)
        return self._with(
            steps.AsyncMap(
                name=step_name, function=function, max_in_flight=max_in_flight, is_ordered=ordered, on_error=policy
            )
        )

    def filter(
        self, function: Callable[[V], Any], *, on_error: Policy | None = None, name: str | None = None
    ) -> Pipeline[V]:
        """Keep the records for whose value `function(value)` is true."""
        builder = Builder(self.name)
        builder.function("filter", function)
        policy = builder.policy("filter", on_error, self.on_error)
        return self._with(steps.Filter(name=self._step_name("filter", name), function=function, on_error=policy))

    def flat_map(
        self, function: Callable[[V], Iterable[R]], *, on_error: Policy | None = None, name: str | None = None
    ) -> Pipeline[R]:
        """Replace every record by one for each value of `function(value)`, with the same key, time and headers."""
        builder = Builder(self.name)
        builder.function("flat_map", function)
        policy = builder.policy("flat_map", on_error, self.on_error)
        return self._with(steps.FlatMap(name=self._step_name("flat_map", name), function=function, on_error=policy))

    def map_batches(
        self, function: Callable[[Batch], Batch | Awaitable[Batch]], *, name: str | None = None
    ) -> Pipeline[Any]:
        """Replace whole batches: for vectorised code. `function` may be async and may change any column."""
        Builder(self.name).function("map_batches", function, may_be_async=True)
        return self._with(steps.MapBatches(name=self._step_name("map_batches", name), function=function))

    # Several streams.

    def branch(
        self, *, name: str | None = None, on_error: Policy | None = None, **predicates: Callable[[V], Any]
    ) -> tuple[Pipeline[V], ...]:
        """One stream per predicate, in their order; a record goes to the first that is true for its value, or nowhere.

        `paid, rest = orders.branch(paid=lambda order: order["paid"], rest=lambda order: True)`; steps of a branch have its
        name in front of theirs. Give all of them to `run` once each has its sink.
        """
        builder = Builder(self.name)
        if not predicates:
            builder.refuse('branch needs predicates by name, such as branch(paid=lambda order: order["paid"])')
        for predicate in predicates.values():
            builder.function("branch", predicate)
        policy = builder.policy("branch", on_error, self.on_error)
        step = steps.Branch(name=self._step_name("branch", name), predicates=predicates, on_error=policy)
        made: Pipeline[V] = self._with(step)
        return tuple(made._leaving_by(port, f"{self._prefix}{port}-") for port in predicates)

    def merge(self, *others: Pipeline[Any], name: str | None = None) -> Pipeline[Any]:
        """This stream and others of the same pipeline as one; each keeps its order."""
        if not others:
            Builder(self.name).refuse("merge needs another stream, such as left.merge(right)")
        nodes = self._common("merge", *others)
        entries = [stream._required("merge") for stream in (self, *others)]
        merged = steps.Merge(name=self._step_name("merge", name, nodes))
        return self._then(Node(merged, tuple(entries)), nodes)

    def also(self, build: Callable[[Pipeline[V]], Pipeline[Any]]) -> Pipeline[V]:
        """A side branch: `build` gets this stream and returns where it led, usually to a sink; this one goes on as it was.

        `.also(lambda orders: orders.filter(is_large).sink("large-orders"))`
        """
        side = build(self)
        if not isinstance(side, Pipeline):
            Builder(self.name).refuse(f"also: its function must return the stream that it made, got {side!r}")
        return self._continued(self._entry, self._common("also", side))

    # Keys and state.

    def key_by(
        self,
        *selectors: str | Callable[[V], Any],
        field: str = "key",
        moves: bool = True,
        partitions: int | None = None,
        key: Named | None = None,
        value: Named | None = None,
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Pipeline[V]:
        """Give every record a new key: a field, several fields, or a function of the value.

        `field` is what results call the key of a function. Where state by key follows, records of one key must meet in one
        place: they go through the topic `<pipeline>-<step>-repartition` unless all are in one place already, or you know it
        (`moves=False`). `partitions`, `key` and `value` (serializers) are for that topic; without, they are as many as
        the source has, and MessagePack.
        """
        builder = Builder(self.name)
        names, function = builder.key("key_by", selectors, field)
        if partitions is not None:
            builder.above_zero("key_by", "partitions", partitions)
        return self._with(
            steps.KeyBy(
                name=self._step_name("key_by", name),
                fields=names,
                function=function,
                moves=moves,
                partitions=partitions,
                key=builder.plugin("key", key),
                value=builder.plugin("value", value),
                on_error=builder.policy("key_by", on_error, self.on_error),
            )
        )

    def deduplicate(
        self,
        by: Selector | None = None,
        *,
        within: str | int,
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Pipeline[V]:
        """Only the first record of each key, or of each key and `by`, within that much event time."""
        builder = Builder(self.name)
        within_ms = builder.duration("deduplicate", "within", within)
        policy = builder.policy("deduplicate", on_error, self.on_error)
        step_name = self._step_name("deduplicate", name)
        return self._with(steps.Deduplicate(name=step_name, selector=by, within_ms=within_ms, on_error=policy))

    def stateful_map(
        self,
        function: Callable[..., R],
        state: Callable[[], Any],
        *,
        on_timer: Callable[[Any, Any], Iterable[R]] | None = None,
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Pipeline[R]:
        """Replace every value by `function(value, state)`, where `state` is the object that its key has.

        `state` is a class (a dataclass, a msgspec.Struct, dict, list) or a function that makes a fresh one; the function
        changes it in place. With a third parameter the function gets a context: `key`, `timestamp`, and timers
        (`set_timer(at_ms)` in event time, `set_wall_timer(at_ms)`), for which `on_timer(state, context)` gives results.
        """
        builder = Builder(self.name)
        builder.function("stateful_map", function)
        builder.function("stateful_map", state)
        step = steps.StatefulMap(
            name=self._step_name("stateful_map", name),
            function=function,
            state_type=state,
            takes_context=builder.takes_context("stateful_map", function),
            on_timer=on_timer,
            on_error=builder.policy("stateful_map", on_error, self.on_error),
        )
        return self._with(step)

    def aggregate(
        self, *, emit: Emit = "update", name: str | None = None, on_error: Policy | None = None, **aggregates: Aggregate
    ) -> Pipeline[dict[str, Any]]:
        """Aggregates of everything that each key ever had: one dict per record, as of that record, or, with
        `emit=Every("10s")`, per key that has changed in that time."""
        builder = Builder(self.name)
        fields = key_fields(self._tip())
        builder.aggregates("aggregate", aggregates, fields)
        step = steps.Aggregation(
            name=self._step_name("aggregate", name),
            key_fields=fields,
            aggregates=aggregates,
            emit=builder.emit("aggregate", emit, can_be_final=False),
            on_error=builder.policy("aggregate", on_error, self.on_error),
        )
        return self._with(step)

    def window(
        self,
        window: WindowKind,
        *,
        grace: str | int = 0,
        idle_after: str | int = "30s",
        emit: Emit = "final",
        late: Callable[[Pipeline[V]], Pipeline[Any]] | None = None,
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> WindowedPipeline[V]:
        """Group records of one key by event time; `.aggregate(...)` must follow.

        With `emit="final"` a result is emitted once, when the watermark has passed the window's end by `grace`; with
        `"update"` for each record, and with `Every("10s")` for each window that has changed. Records that come after a
        window was closed are late: dropped and counted, or given to the side branch `late` (as `also` takes it). The
        watermark is the newest event time of the split that is furthest behind; a split that is read to its end and silent
        for `idle_after` does not hold it back.
        """
        builder = Builder(self.name)
        step = steps.Window(
            name=self._step_name("window", name),
            window=builder.window(window),
            grace_ms=builder.duration("window", "grace", grace),
            idle_after_ms=builder.duration("window", "idle_after", idle_after),
            key_fields=key_fields(self._tip()),
            aggregates={},
            emit=builder.emit("window", emit, can_be_final=True),
            on_error=builder.policy("window", on_error, self.on_error),
        )
        return WindowedPipeline(self, step, late)

    def to_table(self, *, name: str | None = None) -> Table[V]:
        """The latest value of each key; a null value deletes the key."""
        step = steps.ToTable(name=self._step_name("table", name), key_fields=key_fields(self._tip()))
        return Table(self._with(step))

    def join(
        self,
        table: Table[L],
        function: Callable[[V, L], R],
        *,
        how: str = "inner",
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Pipeline[R]:
        """Each record with what a table has for its key at that time: `function(value, table value)`; with `how="left"`
        also where it has nothing (None)."""
        return self._then(*JoinBuilder(self, table, function, how, on_error, name).with_table())

    def join_as_of(
        self,
        other: Pipeline[L],
        function: Callable[[V, L], R],
        *,
        within: str | int,
        grace: str | int = 0,
        how: str = "inner",
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Pipeline[R]:
        """Each record with the newest of the other stream that is not younger, and at most `within` older. It waits until
        the watermark has passed it by `grace`, so that results do not depend on which came first."""
        return self._then(*JoinBuilder(self, other, function, how, on_error, name).as_of(within, grace))

    def join_interval(
        self,
        other: Pipeline[L],
        function: Callable[[V, L], R],
        *,
        before: str | int,
        after: str | int,
        grace: str | int = 0,
        how: str = "inner",
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Pipeline[R]:
        """Each pair of records of one key of which the other's is at most `before` older and `after` younger."""
        made = JoinBuilder(self, other, function, how, on_error, name).interval(before, after, grace)
        return self._then(*made)

    def join_window(
        self,
        other: Pipeline[L],
        window: WindowKind,
        function: Callable[[V, L], R],
        *,
        grace: str | int = 0,
        how: str = "inner",
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Pipeline[R]:
        """Each pair of records of one key that lie in one tumbling or hopping window."""
        return self._then(*JoinBuilder(self, other, function, how, on_error, name).window(window, grace))

    def _with(self, step: Step) -> Pipeline[Any]:
        return self._then(Node(step, () if self._entry is None else (self._entry,)))

    def _then(self, node: Node, nodes: tuple[Node, ...] | None = None) -> Pipeline[Any]:
        return self._continued(Input(node), (*(self._nodes if nodes is None else nodes), node))

    def _leaving_by(self, port: str, prefix: str) -> Pipeline[Any]:
        made = self._continued(self._required("branch")._replace(from_port=port), self._nodes)
        made._prefix = prefix
        return made

    def _continued(self, entry: Input | None, nodes: tuple[Node, ...]) -> Pipeline[Any]:
        made: Pipeline[Any] = Pipeline(self.name, on_error=self.on_error)
        made._entry, made._nodes, made._prefix = entry, nodes, self._prefix
        return made
