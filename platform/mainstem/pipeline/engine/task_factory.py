"""Makes the tasks of one worker, with their stores, and opens them once their state is there."""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.api.context import Clock
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.connector_reader import ConnectorReader
from mainstem.pipeline.engine.membership import MadeTask
from mainstem.pipeline.engine.restoring import Kept
from mainstem.pipeline.engine.stage_factory import StageFactory, stores_of
from mainstem.pipeline.engine.task import Task, TaskId
from mainstem.pipeline.engine.topology import Topology
from mainstem.pipeline.operators.stateful import Stores
from mainstem.pipeline.plan import steps
from mainstem.pipeline.state.encoding import StateCodec
from mainstem.pipeline.state.store import MemoryStore, Store


class _Stores:
    def __init__(self, step: str, stores: Mapping[str, MemoryStore]) -> None:
        self._step = step
        self._stores = stores

    @property
    def own(self) -> Store:
        return self._stores[self._step]

    def of_table(self, step: str) -> Store:
        return self._stores[step]


class TaskFactory:
    """`read_connector` makes the reader of a section that begins with a connector."""

    def __init__(self, topology: Topology, stages: StageFactory, clock: Clock) -> None:
        self.readers: dict[TaskId, ConnectorReader] = {}
        self._sections = {section.name: section for section in topology.sections}
        self._stages = stages
        self._clock = clock

    def make(self, task_id: TaskId) -> MadeTask:
        section = self._sections[task_id.section]
        stateful = stores_of(section)
        stores = {name: MemoryStore(name) for name in stateful}
        task = Task(task_id, section, self._stages.stages(section), stores, self._clock)
        kept = {"": Kept(task.progress, StateCodec(""))}
        for name, step in stateful.items():
            state_type = step.state_type if isinstance(step, steps.StatefulMap) else None
            kept[name] = Kept(stores[name], StateCodec(name, state_type))
        changelog = None if section.changelog is None else TopicPartition(section.changelog, task_id.number)
        return MadeTask(task, kept, changelog)

    async def open(self, task: Task) -> None:
        for stage in task.stages.stateful:
            stores: Stores = _Stores(stage.name, task.stores)
            stage.operator.open(stores)
