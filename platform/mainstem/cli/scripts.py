"""Scripts that define pipelines, for commands that run them or only want to know their plans."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mainstem.app.run import Captured, Process
from mainstem.model.errors import ConfigError
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.table import Table
from mainstem.pipeline.plan.windowed import WindowedPipeline

Plan = Pipeline[Any] | WindowedPipeline[Any] | Table[Any]


def checked(script: str) -> Path:
    """Raises: ConfigError if there is no such file."""
    path = Path(script)
    if not path.is_file():
        raise ConfigError("script", script, "there is no such file")
    return path


def execute(script: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """The script's global names after it has run as `__main__`."""
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    return runpy.run_path(str(script), run_name="__main__")


def plans_of(script: Path) -> list[object]:
    """What the script gives to `run`, without running it; or what it holds in global names. Raises: ConfigError."""
    captured: list[object] = []
    Process.captured = captured
    found: dict[str, Any] = {}
    try:
        found = execute(script, [])
    except Captured:
        return list(captured)
    finally:
        Process.captured = None
    return defined(script, found)


def defined(script: Path, found: dict[str, Any]) -> list[object]:
    """The pipelines among a script's global names, without beginnings of others. Raises: ConfigError if there is none."""
    plans: list[Plan] = [value for value in found.values() if isinstance(value, Pipeline | WindowedPipeline | Table)]
    if not plans:
        raise ConfigError("script", str(script), "it neither calls run(pipeline) nor holds a Pipeline in a global name")
    return [plan for plan in plans if not any(_is_beginning(plan, other) for other in plans)]


def _is_beginning(plan: Plan, other: Plan) -> bool:
    mine, others = _nodes(plan), _nodes(other)
    if plan is other or plan.name != other.name:
        return False
    if not mine:
        return bool(others)
    return mine < others


def _nodes(plan: Plan) -> set[int]:
    match plan:
        case Table():
            return {id(node) for node in plan.changes().graph.nodes}
        case Pipeline():
            return {id(node) for node in plan.graph.nodes}
        case _:
            return set()
