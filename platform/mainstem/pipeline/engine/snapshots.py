"""Writes snapshots of state in memory at the orderly end of a run, and finds them at the start of the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from mainstem.api.context import PluginContext
from mainstem.api.transport import Transport
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.checkpoints import Owned, Ownership
from mainstem.pipeline.engine.task import TaskId
from mainstem.pipeline.state.changelog import Change, StateId
from mainstem.pipeline.state.snapshot import BLOCK_ENTRIES, Snapshot, block_of, from_bytes, to_bytes

SMALL_BYTES = 1 << 20


class Snapshots:
    """In `folder`, which is this pipeline's and this worker's own: `<section>/<number of the task>.snapshot`."""

    def __init__(self, folder: Path, transport: Transport, context: PluginContext) -> None:
        self._folder = folder
        self._transport = transport
        self._context = context
        self._looked_for: set[TaskId] = set()

    def find(self, task_id: TaskId, committed: StateId | None) -> Snapshot | None:
        """That of exactly the committed state. Only a task's first start in this process looks for it."""
        if committed is None or task_id in self._looked_for:
            return None
        self._looked_for.add(task_id)
        try:
            found = from_bytes(self._context.files.read_file(self._path(task_id)))
        except OSError:
            return None
        return found if found is not None and found.state_id == committed else None

    async def write(self, running: Sequence[Owned], ownership: Mapping[str, Ownership]) -> None:
        """After the last checkpoint. What cannot be written is told, and read from the changelog next time."""
        for one in running:
            mine = ownership[str(one.task.id)]
            is_committed = mine.checkpoint > 0 and not any(kept.store.has_changes for kept in one.kept.values())
            if one.changelog is None or not is_committed:
                continue
            try:
                await self._write(one, one.changelog, mine)
            except OSError as error:
                self._context.log.warning("pipeline.snapshot_failed", task=str(one.task.id), error=str(error))

    async def _write(self, one: Owned, changelog: TopicPartition, mine: Ownership) -> None:
        covers = await self._covered(changelog, mine)
        blocks: list[bytes] = []
        entries: list[Change] = []
        for kept in one.kept.values():
            for place, value in kept.store.items():
                entries.append(Change(kept.codec.key(place), kept.codec.value(place, value)))
                if len(entries) == BLOCK_ENTRIES:
                    blocks.append(block_of(entries))
                    entries.clear()
                    await asyncio.sleep(0)  # whoever shares the loop, a broker say, must not wait for all of it
        blocks.append(block_of(entries))
        content = to_bytes(Snapshot(StateId(mine.owner, mine.checkpoint, mine.base), covers, blocks))
        path, files = self._path(one.task.id), self._context.files
        files.make_directory(path.parent)
        if len(content) <= SMALL_BYTES:
            files.write_file(path, content)
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._context.executor, files.write_file, path, content)

    async def _covered(self, changelog: TopicPartition, mine: Ownership) -> int:
        """The end of the changelog, if all from the base on is this owner's: what others wrote there must still be found and
        repaired by whoever comes next."""
        _, end = (await self._transport.end_offsets(changelog.topic))[changelog]
        return end if end - mine.base == mine.written else mine.base

    def _path(self, task_id: TaskId) -> Path:
        return self._folder / task_id.section / f"{task_id.number}.snapshot"
