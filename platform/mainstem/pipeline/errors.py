"""What stops a pipeline: a plan that cannot work, named before anything starts, or a stage that failed at
one record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstem.model.errors import MainstemError


class PlanError(MainstemError):
    """A plan that cannot work. `problems` holds every one that was found, each with what to do about it."""

    def __init__(self, pipeline: str, problems: Sequence[str]) -> None:
        lines = f"pipeline {pipeline}: {problems[0]}"
        if len(problems) > 1:
            lines = f"pipeline {pipeline} has {len(problems)} mistakes:" + "".join(f"\n  - {text}" for text in problems)
        super().__init__(lines)
        self.pipeline = pipeline
        self.problems = tuple(problems)


class StageFailure(Exception):
    """What went wrong inside a stage and at which record of its batch (None: nobody knows). The engine adds
    the rest.

    `applied`: what the records before `index` made, where the stage took them in; None: it took in nothing of the batch.
    """

    def __init__(
        self, cause: BaseException | str, index: int | None = None, *, applied: Sequence[Any] | None = None
    ) -> None:
        super().__init__(cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}")
        self.index = index
        self.cause = cause if isinstance(cause, BaseException) else None
        self.applied = applied


class PipelineError(MainstemError):
    """A pipeline that stopped without acknowledging what it was at.

    `place` names the record as people find it: `split flights-0, offset 17`.
    """

    def __init__(self, pipeline: str, stage: str, place: str, reason: str) -> None:
        at = f" at {place}" if place else ""
        super().__init__(f"pipeline {pipeline}, stage {stage}{at}: {reason}")
        self.pipeline = pipeline
        self.stage = stage
        self.place = place
        self.reason = reason
