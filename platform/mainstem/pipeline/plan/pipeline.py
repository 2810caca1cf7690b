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

Every call returns a new plan; the old one stays as it was and may be continued in another way.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, NoReturn, TypeVar, cast, overload

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorSpec
from mainstem.pipeline.errors import PlanError
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.aggregates import Aggregate
from mainstem.pipeline.plan.describe import describe
from mainstem.pipeline.plan.fields import Selector
from mainstem.pipeline.plan.steps import Plugin, Step
from mainstem.pipeline.plan.windows import Tumbling, duration_ms

V = TypeVar("V")
R = TypeVar("R")
Named = str | Plugin

IDLE_AFTER = "30s"


class Pipeline(Generic[V]):
    """`name` is also its consumer group and what its metrics are labelled with: letters, digits, `.`, `_`
    and `-`.

    `V` is the type of the values at this point.
    """

    __slots__ = ("name", "steps")

    def __init__(self, name: str, *, _steps: tuple[Step, ...] = ()) -> None:
        self.name = name
        self.steps = _steps

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}: {' → '.join(step.name for step in self.steps) or 'empty'})"

    def describe(self) -> str:
        """The plan in lines of text: one per step, and what is guaranteed."""
        return describe(self.name, self.steps)

    @overload
    def source(
        self,
        topic: str,
        /,
        *more_topics: str,
        key: Named | None = None,
        value: Named | None = None,
        timestamp: Selector | None = None,
        start: str = "earliest",
        name: str | None = None,
    ) -> Pipeline[Any]: ...

    @overload
    def source(
        self,
        *,
        connector: str | ConnectorSpec,
        timestamp: Selector | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Pipeline[Any]: ...

    def source(
        self,
        *topics: str,
        connector: str | ConnectorSpec | None = None,
        timestamp: Selector | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Pipeline[Any]:
        """Where records come from: topics, or a connector plugin with its settings.

        Topics: `key` and `value` name serializers (without, they stay bytes); `start` is where a group
        without committed offsets begins, `earliest` or `latest`. `timestamp` is a field or function that
        gives the event time (ms, datetime or ISO 8601); without it the record's timestamp counts.
        """
        step_name = self._name("source", name)
        step: Step
        if connector is not None:
            if topics:
                self._refuse(f"source takes topics or connector=, not both: {', '.join(topics)} and {connector!r}")
            step = steps.ConnectorSource(name=step_name, connector=connector, options=options, timestamp=timestamp)
        else:
            known = {"key": None, "value": None, "start": "earliest"}
            self._check_options("source", options, known)
            step = steps.TopicSource(
                name=step_name,
                topics=topics,
                key=self._plugin("key", options.get("key")),
                value=self._plugin("value", options.get("value")),
                timestamp=timestamp,
                start=options.get("start", "earliest"),
            )
        return self._with(step)

    def map(self, function: Callable[[V], R], *, name: str | None = None) -> Pipeline[R]:
        """Replace every value by `function(value)`."""
        self._check_function("map", function)
        return self._with(steps.Map(name=self._name("map", name), function=function))

    def filter(self, function: Callable[[V], Any], *, name: str | None = None) -> Pipeline[V]:
        """Keep the records for whose value `function(value)` is true."""
        self._check_function("filter", function)
        return self._with(steps.Filter(name=self._name("filter", name), function=function))

    def flat_map(self, function: Callable[[V], Iterable[R]], *, name: str | None = None) -> Pipeline[R]:
        """Replace every record by one for each value of `function(value)`, with the same key, time and
        headers.
        """
        self._check_function("flat_map", function)
        return self._with(steps.FlatMap(name=self._name("flat_map", name), function=function))

    def map_batches(
        self, function: Callable[[Batch], Batch | Awaitable[Batch]], *, name: str | None = None
    ) -> Pipeline[Any]:
        """Replace whole batches: for vectorised code. `function` may be async and may change any column."""
        if not callable(function):
            self._refuse(f"map_batches needs a function, got {function!r}")
        return self._with(steps.MapBatches(name=self._name("map_batches", name), function=function))

    @overload
    def key_by(self, field: str, /, *more_fields: str, name: str | None = None) -> Pipeline[V]: ...

    @overload
    def key_by(
        self, function: Callable[[V], Any], /, *, field: str = "key", name: str | None = None
    ) -> Pipeline[V]: ...

    def key_by(self, *selectors: str | Callable[[V], Any], field: str = "key", name: str | None = None) -> Pipeline[V]:
        """Give every record a new key: a field, several fields, or a function of the value.

        `field` is what results of a window call the key of a function. Within one process records are not
        moved: a window after it is right as long as one worker runs the pipeline, and a second one is
        refused.
        """
        step_name = self._name("key_by", name)
        function: Callable[[Any], Any] | None = None
        names = [selector for selector in selectors if isinstance(selector, str)]
        if len(selectors) == 1 and not names:
            function = cast(Callable[[Any], Any], selectors[0])
            self._check_function("key_by", function)
            names = [field]
        elif not names or len(names) != len(selectors):
            self._refuse(f"key_by needs fields or one function, got {selectors!r}")
        return self._with(steps.KeyBy(name=step_name, fields=tuple(names), function=function))

    def window(
        self,
        window: Tumbling,
        *,
        grace: str | int = 0,
        idle_after: str | int = IDLE_AFTER,
        name: str | None = None,
    ) -> WindowedPipeline[V]:
        """Group records of one key by event time; `.aggregate(...)` must follow.

        A window's result is final and emitted once when the watermark has passed its end by `grace`; later
        records are dropped and counted as late. The watermark is the newest event time of the split that is
        furthest behind. A split that is read to its end and silent for `idle_after` does not hold it back.
        """
        if any(isinstance(step, steps.Window) for step in self.steps):
            self._refuse(
                "a second window in one pipeline is not possible yet; write the results of the first to a "
                "topic and window that in a pipeline of its own"
            )
        if not isinstance(window, Tumbling):
            self._refuse(f'window needs a window such as Tumbling("1d"), got {window!r}')
        try:
            grace_ms, idle_after_ms = duration_ms(grace), duration_ms(idle_after)
        except ValueError as error:
            raise PlanError(self.name, [f"window: {error}"]) from None
        return WindowedPipeline(self, window, grace_ms, idle_after_ms, self._name("window", name))

    @overload
    def sink(
        self,
        topic: str,
        /,
        *,
        key: Named | None = None,
        value: Named | None = None,
        partitioner: Named = "murmur2",
        partitions: int = 1,
        configs: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> Pipeline[V]: ...

    @overload
    def sink(self, *, connector: str | ConnectorSpec, name: str | None = None, **options: Any) -> Pipeline[V]: ...

    def sink(
        self,
        *topics: str,
        connector: str | ConnectorSpec | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Pipeline[V]:
        """Where records go: a topic, or a connector plugin with its settings. The plan may go on after it.

        Topics: `key` and `value` name serializers (without, bytes are written as they are and text as
        UTF-8); the topic is created with `partitions` if it does not exist; records carry their event time.
        """
        step_name = self._name("sink", name)
        if connector is not None:
            if topics:
                self._refuse(f"sink takes a topic or connector=, not both: {topics[0]} and {connector!r}")
            return self._with(steps.ConnectorSink(name=step_name, connector=connector, options=options))
        if len(topics) != 1:
            self._refuse("sink needs one topic, or connector= with the name of a connector")
        known = {"key": None, "value": None, "partitioner": "murmur2", "partitions": 1, "configs": None}
        self._check_options("sink", options, known)
        given = {**known, **options}
        return self._with(
            steps.TopicSink(
                name=step_name,
                topic=topics[0],
                key=self._plugin("key", given["key"]),
                value=self._plugin("value", given["value"]),
                partitioner=self._plugin("partitioner", given["partitioner"]) or Plugin("murmur2"),
                partitions=given["partitions"],
                configs=given["configs"] or {},
            )
        )

    def _with(self, step: Step) -> Pipeline[Any]:
        return Pipeline(self.name, _steps=(*self.steps, step))

    def _name(self, kind: str, name: str | None) -> str:
        """`map`, `map-2`, `map-3`: another step put in between renames no step of another kind."""
        if name is not None:
            return name
        count = sum(1 for step in self.steps if step.name == kind or step.name.startswith(f"{kind}-"))
        return kind if count == 0 else f"{kind}-{count + 1}"

    def _check_function(self, step: str, function: object) -> None:
        if not callable(function):
            self._refuse(f"{step} needs a function, got {function!r}")
        if inspect.iscoroutinefunction(function):
            self._refuse(f"{step} calls its function per record and cannot await it; map_batches can")

    def _check_options(self, step: str, options: dict[str, Any], known: dict[str, Any]) -> None:
        from mainstem.api.spec import nearest

        for key in options:
            if key not in known:
                self._refuse(f"{step} of a topic has no setting {key!r}; {nearest(key, [*known, 'connector'])}")

    def _plugin(self, setting: str, named: object) -> Plugin | None:
        if named is None or isinstance(named, Plugin):
            return named
        if not isinstance(named, str):
            self._refuse(f'{setting} is the name of a plugin or Plugin("name", setting=...), got {named!r}')
        return Plugin(named)

    def _refuse(self, problem: str) -> NoReturn:
        raise PlanError(self.name, [problem])


class WindowedPipeline(Generic[V]):
    """Records grouped by key and window. It has one way on: `aggregate`."""

    __slots__ = ("_before", "_grace_ms", "_idle_after_ms", "_name", "_window")

    def __init__(self, before: Pipeline[V], window: Tumbling, grace_ms: int, idle_after_ms: int, name: str) -> None:
        self._before = before
        self._window = window
        self._grace_ms = grace_ms
        self._idle_after_ms = idle_after_ms
        self._name = name

    @property
    def name(self) -> str:
        return self._before.name

    def aggregate(self, **aggregates: Aggregate) -> Pipeline[dict[str, Any]]:
        """One dict per key and window: the key's fields, `window_start` and `window_end` (ms), and each
        aggregate.

        Its event time is that of the newest record in the window.
        """
        key_fields = next(
            (step.fields for step in reversed(self._before.steps) if isinstance(step, steps.KeyBy)), ("key",)
        )
        self._check(aggregates, key_fields)
        step = steps.Window(
            name=self._name,
            window=self._window,
            grace_ms=self._grace_ms,
            idle_after_ms=self._idle_after_ms,
            key_fields=key_fields,
            aggregates=aggregates,
        )
        return Pipeline(self._before.name, _steps=(*self._before.steps, step))

    def _check(self, aggregates: dict[str, Aggregate], key_fields: tuple[str, ...]) -> None:
        problems = []
        if not aggregates:
            problems.append("aggregate needs at least one, such as aggregate(n=Count())")
        taken = {*key_fields, steps.WINDOW_START, steps.WINDOW_END}
        for name, aggregate in aggregates.items():
            if name in taken:
                problems.append(f"aggregate {name!r} has the name of another field of the result")
            if isinstance(aggregate, type) or not all(
                hasattr(aggregate, method) for method in ("initial", "add", "result", "selector")
            ):
                problems.append(f"aggregate {name!r} is {aggregate!r}, not an aggregate such as Mean('price')")
        if problems:
            raise PlanError(self.name, problems)
