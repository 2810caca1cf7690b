"""The latest value of each key of a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from mainstem.pipeline.plan.joining import JoinBuilder
from mainstem.pipeline.plan.policies import Policy

if TYPE_CHECKING:
    from mainstem.pipeline.plan.pipeline import Pipeline

V = TypeVar("V")
R = TypeVar("R")
L = TypeVar("L")


class Table(Generic[V]):
    """The latest value of each key. Streams look things up in it, and whoever runs the pipeline can query it."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Pipeline[V]) -> None:
        self._stream = stream

    @property
    def name(self) -> str:
        return self._stream.name

    @property
    def step_name(self) -> str:
        node = self._stream._tip()
        assert node is not None, "a table is made by a step"
        return node.step.name

    def changes(self) -> Pipeline[V]:
        """The table as a stream: each new value of a key, None where the key was deleted."""
        return self._stream

    def join(
        self,
        other: Table[L],
        function: Callable[[V, L], R],
        *,
        how: str = "inner",
        on_error: Policy | None = None,
        name: str | None = None,
    ) -> Table[R]:
        """The table of `function(value, other value)`, which follows both. With `left` and `outer` a side may be None."""
        made = JoinBuilder(self._stream, other, function, how, on_error, name).of_tables(self.step_name)
        return self._stream._then(*made).to_table(name=name and f"{name}-table")
