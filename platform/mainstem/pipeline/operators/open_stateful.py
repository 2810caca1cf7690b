"""Which operator does a step with state."""

from __future__ import annotations

from typing import assert_never

from mainstem.pipeline.operators.aggregation import AggregationOperator
from mainstem.pipeline.operators.count_windows import CountWindows
from mainstem.pipeline.operators.deduplication import Deduplication
from mainstem.pipeline.operators.fixed_windows import FixedWindows
from mainstem.pipeline.operators.session_windows import SessionWindows
from mainstem.pipeline.operators.sliding_windows import SlidingWindows
from mainstem.pipeline.operators.stateful import StatefulOperator
from mainstem.pipeline.operators.stateful_map import StatefulMapOperator
from mainstem.pipeline.operators.stream_joins import AsOfJoinOperator, IntervalJoinOperator, WindowJoinOperator
from mainstem.pipeline.operators.tables import TableJoinOperator, TableOperator, TableTableJoinOperator
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.windows import CountWindow, Hopping, Session, Sliding, Tumbling


def open_stateful(step: steps.Stateful) -> StatefulOperator:
    """One object for one task."""
    match step:
        case steps.Window():
            return _window(step)
        case steps.Aggregation():
            return AggregationOperator(step)
        case steps.Deduplicate():
            return Deduplication(step)
        case steps.StatefulMap():
            return StatefulMapOperator(step)
        case steps.ToTable():
            return TableOperator(step)
        case steps.TableJoin():
            return TableJoinOperator(step)
        case steps.TableTableJoin():
            return TableTableJoinOperator(step)
        case steps.AsOfJoin():
            return AsOfJoinOperator(step)
        case steps.IntervalJoin():
            return IntervalJoinOperator(step)
        case steps.WindowJoin():
            return WindowJoinOperator(step)
    assert_never(step)


def _window(step: steps.Window) -> StatefulOperator:
    match step.window:
        case Tumbling() | Hopping() as window:
            return FixedWindows(step, window)
        case Session() as window:
            return SessionWindows(step, window)
        case Sliding() as window:
            return SlidingWindows(step, window)
        case CountWindow() as window:
            return CountWindows(step, window)
    assert_never(step.window)
