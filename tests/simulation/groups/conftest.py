"""The ground that groups are shaken on: virtual time, a log that commits late and may lose its tail, a coordinator that
fails over, and an observer who knows what must never happen.

The coordinator is the real one (`CoordinatorShard`, `GroupShard`, Kafka's record bytes); time and log are not. The
observer sees every answer when it is sent and every record when it is written.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest

from mainstem.core.group.records import GroupRecord, OffsetStored
from mainstem.core.group.results import JoinResult, SyncResult
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.model.batch import patch_offset, read_header
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID, TopicPartition
from mainstem.runtime.coordinator_replay import replay_batch
from mainstem.runtime.coordinator_shard import CoordinatorShard, RecordFormat, ShardSettings
from mainstem.wire.stored.consumer_offsets import decode_record, encode_record

GROUP = "g"
SETTINGS = GroupSettings(group_initial_rebalance_delay_ms=500, offsets_retention_check_interval_ms=10_000_000)
FORMAT = RecordFormat(encode_record, decode_record)


class Violation(AssertionError):
    """Something happened that must never happen."""


class Time:
    """Clock, scheduler and event queue."""

    def __init__(self) -> None:
        self.elapsed_ms = 0
        self._heap: list[tuple[int, int, Callable[[], Any]]] = []
        self._order = itertools.count()
        self._cancelled: set[int] = set()

    def now_ms(self) -> int:
        return 1_700_000_000_000 + self.elapsed_ms

    def monotonic_ms(self) -> int:
        return self.elapsed_ms

    def after(self, ms: int, action: Callable[[], Any]) -> int:
        ticket = next(self._order)
        heapq.heappush(self._heap, (self.elapsed_ms + ms, ticket, action))
        return ticket

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        ticket = self.after(round(delay * 1000), lambda: callback(*args))
        return Handle(lambda: self._cancelled.add(ticket))

    def run_until(self, end_ms: int) -> None:
        while self._heap and self._heap[0][0] <= end_ms:
            at_ms, ticket, action = heapq.heappop(self._heap)
            if ticket in self._cancelled:
                self._cancelled.discard(ticket)
                continue
            self.elapsed_ms = at_ms
            action()
        self.elapsed_ms = end_ms


class Handle(NamedTuple):
    cancel: Callable[[], Any]


class Outcome(NamedTuple):
    error: ErrorCode
    base_offset: int = -1
    last_offset: int = -1


class SimLog:
    """The partition. Records are committed some time after they were appended; a crash may take the rest."""

    def __init__(self, time: Time, chance: random.Random) -> None:
        self.batches: list[bytes] = []
        self.log_end_offset = 0
        self.committed = 0
        self.is_refusing = False
        self._time = time
        self._chance = chance
        self._waiters: list[tuple[int, Callable[[ErrorCode], None]]] = []
        self._life = 0

    def append_batch(self, batch: bytes, admission: Any = None) -> Outcome:
        if self.is_refusing:
            return Outcome(ErrorCode.NOT_ENOUGH_REPLICAS)
        data = bytearray(batch)
        base = self.log_end_offset
        patch_offset(data, 0, base, 0)
        self.batches.append(bytes(data))
        self.log_end_offset = end = read_header(data).next_offset
        life = self._life
        self._time.after(self._chance.randint(0, 150), lambda: self._commit(end, life))
        return Outcome(ErrorCode.NONE, base, end - 1)

    def _commit(self, end: int, life: int) -> None:
        if life != self._life or end <= self.committed:
            return
        self.committed = end
        ready = [w for w in self._waiters if w[0] < end]
        self._waiters = [w for w in self._waiters if w[0] >= end]
        for _, callback in ready:
            callback(ErrorCode.NONE)

    def when_committed(self, offset: int, callback: Callable[[ErrorCode], None]) -> None:
        if offset < self.committed:
            callback(ErrorCode.NONE)
        else:
            self._waiters.append((offset, callback))

    def replay(self, from_offset: int = 0) -> Any:
        raise NotImplementedError("the simulation reads the batches itself")

    def fail_over(self) -> None:
        """The next leader has everything committed, and by chance some of what was not."""
        self._life += 1
        self._waiters.clear()
        while self.batches and read_header(self.batches[-1]).next_offset > self.committed:
            if self._chance.random() < 0.5:
                break
            self.batches.pop()
        self.log_end_offset = self.committed = read_header(self.batches[-1]).next_offset if self.batches else 0


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


class SimWaiter:
    """Answers once; an answer of a coordinator that crashed meanwhile never leaves it."""

    def __init__(self, command: Any, send: Callable[[Any], None], is_up: Callable[[], bool]) -> None:
        self._command = command
        self._send = send
        self._is_up = is_up
        self._is_answered = False

    def answer(self, result: Any) -> None:
        if self._is_answered:
            raise Violation(f"{type(self._command).__name__} was answered twice")
        self._is_answered = True
        if self._is_up():
            self._send(result)

    def refuse(self, error: ErrorCode) -> None:
        if not self._is_answered:
            self.answer(self._command.refused(error))


class Quiet:
    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **facts: None


class Coordinator:
    def __init__(self, time: Time, log: SimLog, observer: Observer) -> None:
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
            self.log, machine, FORMAT, ShardSettings(), self.time, self.time, Quiet(), self._lost
        )
        self.shard.activate(self.log.log_end_offset - 1)

    def _lost(self, reason: str) -> None:
        if reason != "bug":  # a bug is on its way up by itself
            raise Violation(f"the shard was given up: {reason}")

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


@pytest.fixture(scope="session")
def ground() -> SimpleNamespace:
    return SimpleNamespace(
        Time=Time,
        SimLog=SimLog,
        Observer=Observer,
        Coordinator=Coordinator,
        Violation=Violation,
        decode_assignment=decode_assignment,
        SimWaiter=SimWaiter,
        Quiet=Quiet,
        FORMAT=FORMAT,
    )
