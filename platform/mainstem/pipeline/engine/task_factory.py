"""Makes the tasks of one worker, with their stores, and opens them once their state is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mainstem.api.context import Clock
from mainstem.api.state import TaskState
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.connector_reader import ConnectorReader
from mainstem.pipeline.engine.membership import MadeTask
from mainstem.pipeline.engine.restoring import Kept
from mainstem.pipeline.engine.snapshots import Snapshots
from mainstem.pipeline.engine.stage_factory import StageFactory, stores_of
from mainstem.pipeline.engine.task import Task, TaskId
from mainstem.pipeline.engine.topology import Topology
from mainstem.pipeline.operators.stateful import Stores
from mainstem.pipeline.plan import steps
from mainstem.pipeline.state.changelog import StateId
from mainstem.pipeline.state.disk_store import DiskStore
from mainstem.pipeline.state.encoding import StateCodec
from mainstem.pipeline.state.snapshot import Snapshot
from mainstem.pipeline.state.store import KeptStore, MemoryStore, Store


class _Stores:
    def __init__(self, step: str, stores: Mapping[str, KeptStore]) -> None:
        self._step = step
        self._stores = stores

    @property
    def own(self) -> Store:
        return self._stores[self._step]

    def of_table(self, step: str) -> Store:
        return self._stores[step]


class TaskFactory:
    """`read_connector` makes the reader of a section that begins with a connector."""

    def __init__(
        self,
        topology: Topology,
        stages: StageFactory,
        clock: Clock,
        open_state: Callable[[TaskId], TaskState] | None,
        snapshots: Snapshots | None,
    ) -> None:
        self.readers: dict[TaskId, ConnectorReader] = {}
        self._sections = {section.name: section for section in topology.sections}
        self._stages = stages
        self._clock = clock
        self._open_state = open_state
        self._snapshots = snapshots

    def make(self, task_id: TaskId) -> MadeTask:
        section = self._sections[task_id.section]
        stateful = stores_of(section)
        state = self._open_state(task_id) if self._open_state is not None and stateful else None
        codecs = {
            name: StateCodec(name, step.state_type if isinstance(step, steps.StatefulMap) else None)
            for name, step in stateful.items()
        }
        stores: dict[str, KeptStore] = {
            name: MemoryStore(name) if state is None else DiskStore(name, codec, state)
            for name, codec in codecs.items()
        }
        task = Task(task_id, section, self._stages.stages(section), stores, self._clock)
        kept = {"": Kept(task.progress, StateCodec(""))}
        kept.update({name: Kept(stores[name], codec) for name, codec in codecs.items()})
        changelog = None if section.changelog is None else TopicPartition(section.changelog, task_id.number)
        return MadeTask(task, kept, changelog, state)

    def snapshot(self, task_id: TaskId, committed: StateId | None) -> Snapshot | None:
        return None if self._snapshots is None else self._snapshots.find(task_id, committed)

    async def open(self, task: Task) -> None:
        for stage in task.stages.stateful:
            stores: Stores = _Stores(stage.name, task.stores)
            stage.operator.open(stores)
