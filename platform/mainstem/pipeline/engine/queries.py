"""Reading the state of a running worker: tables, totals and windows of the tasks that it has.

Another worker of the pipeline has the other tasks; `tasks` says which are here. What is read is as of the last record, and may be
ahead of what was committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from mainstem.pipeline.engine.engine import Engine
from mainstem.pipeline.engine.stateful_stage import StatefulStage
from mainstem.pipeline.engine.task import Task
from mainstem.pipeline.state.store import Entry, Place

LIMIT = 1_000


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `group` is the start of a window (ms), 0 where a step has one value for each key."""

    task: int
    group: int
    key: Any
    value: Any


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step with state, and the tasks of it that are here."""

    step: str
    section: str
    tasks: list[int]


class UnknownStep(KeyError):
    """There is no such step with state here."""


class Queries:
    """Of one engine, on its loop."""

    def __init__(self, engine: Engine) -> None:
        self.pipeline = engine.pipeline
        self._engine = engine

    def steps(self) -> list[Step]:
        found: dict[str, Step] = {}
        for task in self._engine.tasks:
            for stage in task.stages.stateful:
                known = found.setdefault(stage.name, Step(step=stage.name, section=task.section.name, tasks=[]))
                known.tasks.append(task.id.number)
        return list(found.values())

    def entries(
        self,
        step: str,
        *,
        keys: Sequence[Any] | None = None,
        first_group: int | None = None,
        last_group: int | None = None,
        limit: int = LIMIT,
    ) -> list[Found]:
        """At most `limit` entries; of these keys (None: all) and of groups from first to last, both counted.

        Raises: UnknownStep.
        """
        found: list[Found] = []
        is_known = False
        for task in self._engine.tasks:
            for stage in task.stages.stateful:
                if stage.name != step:
                    continue
                is_known = True
                for entry in self._entries(task, stage, keys, first_group, last_group):
                    if len(found) == limit:
                        return found
                    found.append(
                        Found(
                            task=task.id.number,
                            group=entry.place.group,
                            key=entry.place.key,
                            value=stage.operator.shown(entry.place, entry.value),
                        )
                    )
        if not is_known:
            raise UnknownStep(step)
        return found

    def _entries(
        self,
        task: Task,
        stage: StatefulStage,
        keys: Sequence[Any] | None,
        first_group: int | None,
        last_group: int | None,
    ) -> Iterator[Entry]:
        store = task.stores[stage.name]
        for group in sorted(store.groups()):
            if (first_group is not None and group < first_group) or (last_group is not None and group > last_group):
                continue
            held = store.load_all(group) if keys is None else store.load(group, keys)
            for key in list(held) if keys is None else keys:
                if key in held:
                    yield Entry(Place(group, key), held[key])
