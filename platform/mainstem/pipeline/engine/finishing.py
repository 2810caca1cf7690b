"""When a run that shall end has come to its end: `--once` takes topics as they are at its start, and what follows from them.

A section is through when those in front of it are, when what they wrote has arrived and was read to its end, and when every
split of its tasks has said that nothing more comes. Then event time ends for it, and all windows close.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from mainstem.api.transport import Transport
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.checkpoints import Owned
from mainstem.pipeline.engine.connector_reader import ConnectorReader
from mainstem.pipeline.engine.membership import Membership
from mainstem.pipeline.engine.task import Task, TaskId
from mainstem.pipeline.engine.topology import Section, Topology


class Finishing:
    """`is_bounded`: the run ends by itself, because it takes topics once, or because it reads connectors only."""

    def __init__(
        self,
        topology: Topology,
        transport: Transport,
        *,
        once: bool,
        make_reader: Callable[[Task], ConnectorReader],
    ) -> None:
        self.is_finished = False
        self.is_bounded = once or not any(section.topics for section in topology.sections)
        self._once = once
        self._topology = topology
        self._transport = transport
        self._make_reader = make_reader
        self._targets: dict[TopicPartition, int] = {}
        self._first: dict[TopicPartition, int] = {}
        self._through: set[str] = set()
        self._repartition_ends: dict[TopicPartition, int] = {}

    async def open(self) -> None:
        """Raises: TransportError."""
        if not self._once:
            return
        for section in self._topology.sections:
            for topic in section.topics:
                for partition, (_, end) in (await self._transport.end_offsets(topic)).items():
                    self._targets[partition] = end

    def open_reader(self, task: Task, readers: dict[TaskId, ConnectorReader]) -> ConnectorReader:
        reader = readers[task.id] = self._make_reader(task)
        return reader

    def is_at_end(self, partition: TopicPartition, next_offset: int) -> bool:
        target = self._targets.get(partition)
        if target is None:
            return False
        self._first.setdefault(partition, next_offset)
        return next_offset >= target

    def records_total(self, readers: Mapping[TaskId, ConnectorReader]) -> int | None:
        """About how many records the run will read, None if nobody knows."""
        if not self.is_bounded:
            return None
        totals = [reader.records_total for reader in readers.values()]
        if any(total is None for total in totals):
            return None
        return sum(total for total in totals if total is not None) + sum(self._targets.values())

    async def step(self, membership: Membership, checkpoint: Callable[[], Awaitable[None]]) -> None:
        """`checkpoint` makes what was written visible. Raises: TransportError, and what a checkpoint raises."""
        if not self.is_bounded or not membership.has_assignment or membership.restoring:
            return
        for section in self._topology.sections:
            if section.name in self._through:
                continue
            if not self._is_ready(section, membership):
                return
            await checkpoint()
            # The checkpoint may have found that we were put out of the group, and rolled everything back.
            if not self._is_ready(section, membership) or not await self._others_are_through(section, membership):
                return
            self._through.add(section.name)
            await self._note_ends(section)
        self.is_finished = True

    def _is_ready(self, section: Section, membership: Membership) -> bool:
        tasks = [one for one in membership.owned.values() if one.task.section is section]
        return (
            not membership.restoring
            and self._feeders_are_through(section)
            and all(self._is_through(one) for one in tasks)
        )

    def _feeders_are_through(self, section: Section) -> bool:
        feeders = {
            other.name
            for other in self._topology.sections
            for node in other.nodes
            if node in self._topology.repartitions and node in section.entries
        }
        return feeders <= self._through

    def _is_through(self, one: Owned) -> bool:
        task = one.task
        if task.mailbox or task.is_draining or not task.marks.is_finished:
            return False
        positions = task.positions
        return all(
            (positions.get(str(partition)) or 0) >= self._repartition_ends.get(partition, 0)
            for partition in one.partitions
        )

    async def _others_are_through(self, section: Section, membership: Membership) -> bool:
        """Other workers have committed all that is theirs of a section. If they died, it comes to us first."""
        mine = {partition for one in membership.owned.values() for partition in one.partitions}
        wanted = {partition: end for partition, end in self._ends(section).items() if partition not in mine and end > 0}
        if not wanted:
            return True
        committed = await self._transport.group_offsets(self._topology.pipeline)
        return all(committed.get(partition, 0) >= end for partition, end in wanted.items())

    def _ends(self, section: Section) -> dict[TopicPartition, int]:
        topics = set(section.topics)
        topics |= {
            self._topology.repartitions[node].topic for node in section.entries if node in self._topology.repartitions
        }
        known = {**self._targets, **self._repartition_ends}
        return {partition: end for partition, end in known.items() if partition.topic in topics}

    async def _note_ends(self, section: Section) -> None:
        """How far those behind a section have to read what it wrote."""
        for node in section.nodes:
            repartition = self._topology.repartitions.get(node)
            if repartition is not None:
                for partition, (_, end) in (await self._transport.end_offsets(repartition.topic)).items():
                    self._repartition_ends[partition] = end
