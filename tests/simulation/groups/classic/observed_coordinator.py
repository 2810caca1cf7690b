"""A coordinator that fails over, and an observer who knows what must never happen.

The coordinator is the real one (`CoordinatorShard`, `GroupShard`, Kafka's record bytes); time and log are not. The
observer sees every answer when it is sent and every record when it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from group_log import FORMAT, GroupLog, SimWaiter
from violation import Quiet, Violation, given_up
from virtual_time import Time

from mainstem.core.group.records import GroupRecord, OffsetStored
from mainstem.core.group.results import JoinResult, SyncResult
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.model.batch import read_header
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID, TopicPartition
from mainstem.runtime.coordinator_replay import replay_batch
from mainstem.runtime.coordinator_shard import CoordinatorShard, ShardSettings

GROUP = "g"
SETTINGS = GroupSettings(group_initial_rebalance_delay_ms=500, offsets_retention_check_interval_ms=10_000_000)


def decode_assignment(raw: bytes) -> list[TopicPartition]:
    pairs = (part.split("-") for part in raw.decode().split(",") if part)
    return [TopicPartition(topic, int(index)) for topic, index in pairs]


class Observer:
    """Knows what must never happen."""

    def __init__(self) -> None:
        self.coordinator = 0
        self.generations = 0
        self.commits_acknowledged = 0
        self._protocols: dict[tuple[int, int], tuple[str | None, str | None]] = {}
        self._newest_told: dict[int, int] = {}
        self._ids: dict[tuple[int, str], str] = {}
        self._owners: dict[tuple[int, TopicPartition], str] = {}
        self._written: dict[str, int] = {}
        self._last_acknowledged: dict[TopicPartition, int] = {}

    def answered_join(self, client: Any, result: JoinResult) -> None:
        if result.error is not ErrorCode.NONE:
            return
        said = (result.protocol_type, result.protocol_name)
        if self._protocols.setdefault((self.coordinator, result.generation), said) != said:
            raise Violation(f"members of generation {result.generation} disagree on the protocol")
        newest = self._newest_told.get(self.coordinator, 0)
        self.generations += result.generation > newest
        self._newest_told[self.coordinator] = max(newest, result.generation)
        if client.instance_id is not None:
            self._ids[self.coordinator, client.instance_id] = result.member_id

    def answered_sync(self, client: Any, generation: int, result: SyncResult) -> None:
        if result.error is not ErrorCode.NONE:
            return
        for partition in decode_assignment(result.assignment):
            owner = self._owners.setdefault((generation, partition), client.identity)
            if owner != client.identity:
                raise Violation(f"{partition} of generation {generation}: {owner} and {client.identity}")

    def wrote(self, record: GroupRecord, offset: int) -> None:
        if not isinstance(record, OffsetStored):
            return
        generation, member_id, instance_id, _ = record.metadata.split("|")
        if int(generation) < self._newest_told.get(self.coordinator, 0):
            raise Violation(f"a commit of generation {generation} was stored after a newer one began")
        newest_id = self._ids.get((self.coordinator, instance_id), member_id)
        if instance_id and newest_id != member_id:
            raise Violation(f"a commit of the fenced {member_id} was stored, {newest_id} took its place")
        self._written[record.metadata] = offset

    def answered_commit(self, partition: TopicPartition, metadata: str, error: ErrorCode) -> None:
        if error is ErrorCode.NONE:
            self.commits_acknowledged += 1
            offset = self._written[metadata]
            self._last_acknowledged[partition] = max(self._last_acknowledged.get(partition, -1), offset)

    def check_offsets(self, shard: GroupShard) -> None:
        kept = shard.offsets.of_group(GROUP)
        for partition, offset in self._last_acknowledged.items():
            if partition not in kept or kept[partition].record_offset < offset:
                raise Violation(f"an acknowledged commit for {partition} is lost")


class ObservedShard(GroupShard):
    observer: Observer | None = None

    def apply(self, record: GroupRecord, *, offset: int, producer_id: int = NO_PRODUCER_ID) -> None:
        if self.observer is not None:
            self.observer.wrote(record, offset)
        super().apply(record, offset=offset, producer_id=producer_id)


class Coordinator:
    def __init__(self, time: Time, log: GroupLog, observer: Observer) -> None:
        self.time, self.log, self.observer = time, log, observer
        self.machine = ObservedShard(SETTINGS)
        self.shard: CoordinatorShard[GroupRecord] | None = None
        self.start()

    def start(self) -> None:
        self.observer.coordinator += 1
        machine = ObservedShard(SETTINGS)
        for raw in self.log.batches:
            replay_batch(raw, read_header(raw), machine, FORMAT)
        self.observer.check_offsets(machine)
        machine.observer = self.observer
        self.machine = machine
        self.shard = CoordinatorShard(
            self.log, machine, FORMAT, ShardSettings(), self.time, self.time, Quiet(), given_up
        )
        self.shard.activate(self.log.log_end_offset - 1)

    def crash(self, down_ms: int) -> None:
        if self.shard is not None:
            shard, self.shard = self.shard, None
            shard.close()
            self.log.fail_over()
            self.time.after(down_ms, self.start)

    def request(self, command: Any, send: Callable[[Any], None]) -> None:
        shard = self.shard
        if shard is None:
            send(command.refused(ErrorCode.NOT_COORDINATOR))
            return
        waiter: Any = SimWaiter(command, send, lambda: self.shard is shard)
        shard.run(msgspec.structs.replace(command, token=waiter), waiter)
