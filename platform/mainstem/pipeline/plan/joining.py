"""The joins of a plan, checked as they are written down."""

from __future__ import annotations

from typing import Any, NamedTuple

from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.building import Builder
from mainstem.pipeline.plan.graph import Node
from mainstem.pipeline.plan.policies import Policy
from mainstem.pipeline.plan.stream import Stream
from mainstem.pipeline.plan.windows import Hopping, Tumbling


class Joined(NamedTuple):
    """The join, and the plan it is put behind: that of both sides."""

    node: Node
    nodes: tuple[Node, ...]


class JoinBuilder:
    """What every join is given; one method per kind of join. Raises: PlanError."""

    def __init__(
        self, left: Stream, other: Any, function: Any, how: str, on_error: Policy | None, name: str | None
    ) -> None:
        self._builder = Builder(left.name)
        self._left = left
        self._other = other
        self._builder.function("join", function)
        self._function = function
        self._how = how
        self._policy = self._builder.policy("join", on_error, left.on_error)
        self._given_name = name

    def with_table(self) -> Joined:
        return self._joined(
            steps.TableJoin(
                name=self._name("join"),
                table=self._table("join"),
                function=self._function,
                kind=self._builder.join_kind("join", self._how, allowed=("inner", "left")),
                on_error=self._policy,
            )
        )

    def of_tables(self, left_table: str) -> Joined:
        return self._joined(
            steps.TableTableJoin(
                name=self._name("join"),
                left_table=left_table,
                right_table=self._table("join"),
                function=self._function,
                kind=self._builder.join_kind("join", self._how),
                on_error=self._policy,
            )
        )

    def as_of(self, within: str | int, grace: str | int) -> Joined:
        self._stream("join_as_of")
        return self._joined(
            steps.AsOfJoin(
                name=self._name("join_as_of"),
                function=self._function,
                kind=self._builder.join_kind("join_as_of", self._how, allowed=("inner", "left")),
                within_ms=self._builder.duration("join_as_of", "within", within),
                grace_ms=self._builder.duration("join_as_of", "grace", grace),
                on_error=self._policy,
            )
        )

    def interval(self, before: str | int, after: str | int, grace: str | int) -> Joined:
        self._stream("join_interval")
        return self._joined(
            steps.IntervalJoin(
                name=self._name("join_interval"),
                function=self._function,
                kind=self._builder.join_kind("join_interval", self._how),
                before_ms=self._builder.duration("join_interval", "before", before),
                after_ms=self._builder.duration("join_interval", "after", after),
                grace_ms=self._builder.duration("join_interval", "grace", grace),
                on_error=self._policy,
            )
        )

    def window(self, window: object, grace: str | int) -> Joined:
        self._stream("join_window")
        if not isinstance(window, Tumbling | Hopping):
            self._builder.refuse(f'join_window needs Tumbling("1m") or Hopping("1m", hop="10s"), got {window!r}')
        return self._joined(
            steps.WindowJoin(
                name=self._name("join_window"),
                window=window,
                function=self._function,
                kind=self._builder.join_kind("join_window", self._how),
                grace_ms=self._builder.duration("join_window", "grace", grace),
                on_error=self._policy,
            )
        )

    def _joined(self, step: steps.Step) -> Joined:
        right = self._other if isinstance(self._other, Stream) else self._other.changes()
        nodes = self._left._common("join", right)
        entries = (
            self._left._required("join")._replace(to_port=steps.LEFT),
            right._required("join")._replace(to_port=steps.RIGHT),
        )
        return Joined(Node(step, entries), nodes)

    def _name(self, kind: str) -> str:
        return self._left._step_name(kind, self._given_name)

    def _table(self, step: str) -> str:
        name = getattr(self._other, "step_name", None)
        if not isinstance(name, str):
            self._builder.refuse(
                f'{step} joins a table, such as Pipeline("name").table("topic") or stream.to_table(), got '
                f"{self._other!r}; streams join by join_as_of, join_interval and join_window"
            )
        return name

    def _stream(self, step: str) -> None:
        if not isinstance(self._other, Stream):
            self._builder.refuse(f"{step} joins a stream, got {self._other!r}; .changes() of a table is one")
