"""The ground that transactions are shaken on: one broker on virtual time, whose logs commit late and lose their tails in a crash.

Real are the coordinators of transactions and groups, their shards, markers, the verifier, the log's producer state and Kafka's
bytes. Time, disk and network are not. The judge knows every transaction by name and looks at what readers could see.
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.core.log.append import plan_append
from mainstem.core.log.state import LogState
from mainstem.core.log.transactions import build_marker
from mainstem.core.txn.commands import AddPartitions, CompleteTransaction, VerifyPartitions
from mainstem.core.txn.settings import TransactionSettings
from mainstem.core.txn.shard import TransactionShard
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT, patch_offset, read_header
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import GROUP_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC
from mainstem.runtime.coordinator_replay import replay_batch
from mainstem.runtime.coordinator_shard import CoordinatorShard, EndMarker, RecordFormat, ShardSettings
from mainstem.runtime.coordinator_waiter import Waiter
from mainstem.runtime.transaction_markers import Completion
from mainstem.runtime.transaction_verification import TransactionVerifier, Writer, told_to_producer
from mainstem.wire.stored import consumer_offsets, transaction_state

sys.path.insert(0, str(Path(__file__).resolve().parent))

from clients import Judge, Producer

DATA = (TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0))
OFFSETS = TopicPartition(GROUP_OFFSETS_TOPIC, 0)
STATE = TopicPartition(TRANSACTION_STATE_TOPIC, 0)
CONFIG = BrokerConfig.from_texts({"node.id": "1"})
TOPIC_CONFIG = TopicConfig.resolve({}, CONFIG)
SETTINGS = TransactionSettings(abort_timed_out_interval_ms=500, remove_expired_interval_ms=10_000_000)


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
    """One partition over the real producer state. Records are committed some time after they were appended."""

    def __init__(self, name: TopicPartition, time: Time, chance: random.Random) -> None:
        self.topic_partition = name
        self.batches: list[bytes] = []
        self.state = LogState()
        self.log_end_offset = 0
        self.high_watermark = 0
        self.is_refusing = False
        self.watch: Callable[[SimLog], None] = lambda log: None
        self._time = time
        self._chance = chance
        self._waiters: list[tuple[int, Callable[[ErrorCode], None]]] = []
        self._life = 0

    @property
    def last_stable_offset(self) -> int:
        return self.state.transactions.last_stable_offset(self.high_watermark)

    def append_batch(self, batch: bytes, admission: Any = None) -> Outcome:
        return self.append(batch, from_client=False, admission=admission)

    def append(self, batch: bytes, *, from_client: bool, admission: Any) -> Outcome:
        if self.is_refusing:
            return Outcome(ErrorCode.NOT_ENOUGH_REPLICAS)
        data, now_ms = bytearray(batch), self._time.now_ms()
        plan = plan_append(
            data,
            self.log_end_offset,
            self.state.producers,
            TOPIC_CONFIG,
            now_ms,
            from_client=from_client,
            admission=admission,
        )
        if plan.header is None:
            return Outcome(plan.error)
        if plan.is_duplicate:
            return Outcome(ErrorCode.NONE, plan.base_offset, plan.last_offset)
        patch_offset(data, 0, plan.base_offset, 0)
        self.batches.append(bytes(data))
        self.log_end_offset = end = plan.last_offset + 1
        if plan.header.producer_id >= 0:
            self.state.apply(plan.header, bytes(data), plan.base_offset, now_ms)
        life = self._life
        self._time.after(self._chance.randint(0, 60), lambda: self._commit(end, life))
        return Outcome(ErrorCode.NONE, plan.base_offset, plan.last_offset)

    def _commit(self, end: int, life: int) -> None:
        if life != self._life or end <= self.high_watermark:
            return
        self.high_watermark = end
        self.state.transactions.advance(end)
        self.watch(self)
        ready = [w for w in self._waiters if w[0] < end]
        self._waiters = [w for w in self._waiters if w[0] >= end]
        for _, callback in ready:
            callback(ErrorCode.NONE)

    def when_committed(self, offset: int, callback: Callable[[ErrorCode], None]) -> None:
        if offset < self.high_watermark:
            callback(ErrorCode.NONE)
        else:
            self._waiters.append((offset, callback))

    def replay(self, from_offset: int = 0) -> Any:
        raise NotImplementedError("the simulation reads the batches itself")

    def crash(self) -> None:
        """What was committed is there, and by chance some of what was not. All state is built anew."""
        self._life += 1
        self._waiters.clear()
        while self.batches and read_header(self.batches[-1]).next_offset > self.high_watermark:
            if self._chance.random() < 0.5:
                break
            self.batches.pop()
        self.log_end_offset = read_header(self.batches[-1]).next_offset if self.batches else 0
        self.high_watermark = self.log_end_offset
        self.state = LogState()
        for batch in self.batches:
            header = read_header(batch)
            if header.producer_id >= 0:
                self.state.apply(header, batch, header.base_offset, self._time.now_ms())
        self.state.transactions.advance(self.high_watermark)
        self.watch(self)

    def visible(self) -> list[str]:
        """What a read_committed reader of the whole log sees."""
        stable = self.last_stable_offset
        seen: list[str] = []
        for batch in self.batches:
            header = read_header(batch)
            if header.base_offset >= stable or header.is_control:
                continue
            if header.is_transactional and self._is_aborted(header.producer_id, header.base_offset, stable):
                continue
            seen += [(value or b"").decode() for value in records.decode(batch).values]
        return seen

    def _is_aborted(self, producer_id: int, offset: int, stable: int) -> bool:
        return any(
            entry.producer_id == producer_id and entry.first_offset <= offset <= entry.last_offset
            for entry in self.state.transactions.aborted.overlapping(0, stable)
        )


class Quiet:
    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **facts: None


class Broker:
    """Serves while it is up; whatever was under way in a crash is never answered."""

    def __init__(self, time: Time, chance: random.Random) -> None:
        self.time, self.chance = time, chance
        self.logs = {name: SimLog(name, time, chance) for name in (*DATA, OFFSETS, STATE)}
        self.life = 0
        self.is_up = False
        self.coordinators = 0
        self._producer_ids = itertools.count(1000)
        self.start()

    def start(self) -> None:
        self.is_up = True
        self.groups = GroupShard(GroupSettings())
        self.offsets = self._shard(
            self.groups, OFFSETS, RecordFormat(consumer_offsets.encode_record, consumer_offsets.decode_record), None
        )
        self._activate(self.offsets, OFFSETS)
        self.verifier = TransactionVerifier(self, self.time, self.time, lambda: CONFIG)
        self.start_coordinator()

    def start_coordinator(self) -> None:
        self.coordinators += 1
        self.transactions = TransactionShard(SETTINGS)
        coding = RecordFormat(transaction_state.encode_record, transaction_state.decode_record)
        self.coordinator: CoordinatorShard[Any] | None = self._shard(
            self.transactions, STATE, coding, self._write_markers
        )
        self._activate(self.coordinator, STATE)

    def _shard(self, machine: Any, name: TopicPartition, coding: RecordFormat, effects: Any) -> CoordinatorShard[Any]:
        log = self.logs[name]
        for raw in log.batches:
            replay_batch(raw, read_header(raw), machine, coding)
        return CoordinatorShard(
            log, machine, coding, ShardSettings(), self.time, self.time, Quiet(), self._lost, effects
        )

    def _activate(self, shard: CoordinatorShard[Any], name: TopicPartition) -> None:
        """Not before everything that was read back is committed."""
        log = self.logs[name]
        last_offset = log.log_end_offset - 1
        log.when_committed(last_offset, lambda error: None if shard.is_closed else shard.activate(last_offset))

    def _lost(self, reason: str) -> None:
        if reason != "bug":  # a bug is on its way up by itself
            raise Violation(f"a shard was given up: {reason}")

    def crash(self, down_ms: int) -> None:
        if not self.is_up:
            return
        self.is_up = False
        self.life += 1
        self.offsets.close()
        if self.coordinator is not None:
            self.coordinator.close()
        self.coordinator = None
        self.transactions = TransactionShard(SETTINGS)
        for log in self.logs.values():
            log.crash()
        self.time.after(down_ms, self.start)

    def lose_coordinator(self, down_ms: int) -> None:
        """It is given up and read back, as after an error; the logs live on."""
        if self.coordinator is None:
            return
        self.coordinator.close()
        self.coordinator = None
        self.transactions = TransactionShard(SETTINGS)
        life = self.life
        self.time.after(down_ms, lambda: self.start_coordinator() if life == self.life and self.is_up else None)

    # --- what the coordinator has done ---------------------------------------------------------------------------

    def _write_markers(self, decided: Any) -> None:
        machine = self.transactions
        completed = CompleteTransaction(
            transactional_id=decided.transactional_id,
            producer_id=decided.producer_id,
            producer_epoch=decided.producer_epoch,
        )
        Completion(
            decided,
            0,
            self,
            self.time,
            Quiet(),
            exists=lambda partition: partition in self.logs,
            is_current=lambda: self.transactions is machine,
            completed=lambda: self._complete(completed),
        ).start()

    def _complete(self, command: CompleteTransaction) -> None:
        assert self.coordinator is not None, "the coordinator that decided is in office"
        self.coordinator.run(command)

    def write(self, partition: TopicPartition, marker: EndMarker, done: Callable[[ErrorCode], None]) -> None:
        """The port for markers, over a network that takes its time."""
        life = self.life
        self.time.after(self.chance.randint(0, 20), lambda: life == self.life and self._mark(partition, marker, done))

    def _mark(self, partition: TopicPartition, marker: EndMarker, done: Callable[[ErrorCode], None]) -> None:
        if partition == OFFSETS:
            if self.offsets.is_active:
                self.offsets.end_transaction(marker, done)
            else:
                done(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            return
        log = self.logs[partition]
        batch = build_marker(
            marker.producer_id,
            marker.producer_epoch,
            self.time.now_ms(),
            is_commit=marker.is_commit,
            coordinator_epoch=marker.coordinator_epoch,
        )
        outcome = log.append_batch(batch)
        if outcome.error is not ErrorCode.NONE:
            done(outcome.error)
        else:
            log.when_committed(outcome.last_offset, done)

    # --- requests ------------------------------------------------------------------------------------------------

    def ask_coordinator(self, command: Any, reply: Callable[[Any], None]) -> None:
        def answered(result: Any) -> None:
            if getattr(result, "needs_producer_id", False):
                self.ask_coordinator(
                    msgspec.structs.replace(command, spare_producer_id=next(self._producer_ids)), reply
                )
            else:
                reply(result)

        self._ask(self.coordinator, command, answered)

    def ask_group(self, command: Any, reply: Callable[[Any], None]) -> None:
        self._ask(self.offsets, command, reply)

    def _ask(self, shard: CoordinatorShard[Any] | None, command: Any, reply: Callable[[Any], None]) -> None:
        if shard is None or not shard.is_active:
            reply(command.refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS))
            return
        waiter = Waiter(command, reply)
        shard.run(msgspec.structs.replace(command, token=waiter), waiter)
        if waiter.error is not None:
            raise waiter.error

    def add_or_verify(
        self, transactional_id: str, producer_id: int, producer_epoch: int, partitions: Any, done: Any, *, adds: bool
    ) -> None:
        """The port for verification, over a network that takes its time."""
        make: Any = AddPartitions if adds else VerifyPartitions
        versions = {"client_version": 2} if adds else {}
        command = make(
            transactional_id=transactional_id,
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            partitions=tuple(partitions),
            **versions,
        )
        life = self.life

        def answered(result: Any) -> None:
            errors = {p: result.error_of(p) for p in partitions}
            self.time.after(self.chance.randint(0, 20), lambda: life == self.life and done(errors))

        self.time.after(
            self.chance.randint(0, 20), lambda: life == self.life and self.ask_coordinator(command, answered)
        )

    def produce(
        self,
        transactional_id: str,
        producer: tuple[int, int],
        version: int,
        partition: TopicPartition,
        sequence: int,
        values: list[str],
        reply: Callable[[ErrorCode], None],
    ) -> None:
        log = self.logs[partition]
        batch = records.encode(
            [None] * len(values),
            [value.encode() for value in values],
            [self.time.now_ms()] * len(values),
            producer_id=producer[0],
            producer_epoch=producer[1],
            base_sequence=sequence,
            attributes=TRANSACTIONAL_BIT,
        )

        def admitted(answers: Any) -> None:
            (answer,) = answers
            if isinstance(answer, ErrorCode):
                reply(told_to_producer(answer, version))
                return
            outcome = log.append(batch, from_client=True, admission=answer)
            if outcome.error is not ErrorCode.NONE:
                reply(outcome.error)
            else:
                log.when_committed(outcome.last_offset, reply)

        writer = Writer(transactional_id, *producer, adds=version >= 12)
        self.verifier.admit(writer, [(log, sequence)], admitted)

    def commit_offsets(self, transactional_id: str, version: int, command: Any, reply: Callable[[Any], None]) -> None:
        def admitted(answers: Any) -> None:
            (answer,) = answers
            if isinstance(answer, ErrorCode):
                reply(command.refused(answer))
            else:
                self.ask_group(msgspec.structs.replace(command, admission=answer), reply)

        writer = Writer(transactional_id, command.producer_id, command.producer_epoch, adds=version >= 12)
        self.verifier.admit(writer, [(self.logs[OFFSETS], 0)], admitted)


class World:
    """One run. Faults and new transactions end at `busy_ms`; then everything must come to rest."""

    def __init__(self, seed: int, busy_ms: int = 12_000, rest_ms: int = 40_000) -> None:
        self.chance = random.Random(seed)
        self.time = Time()
        self.broker = Broker(self.time, self.chance)
        self.data = DATA
        self.judge = Judge(Violation, self.broker.logs, lambda: self.broker.groups)
        self.stops = False
        self.loss = self.chance.choice([0.0, 0.02, 0.08])
        self.late = self.chance.choice([0.0, 0.03, 0.1])
        self._busy_ms, self._rest_ms = busy_ms, rest_ms

    def run(self) -> World:
        for index in range(self.chance.randint(1, 3)):
            producer = Producer(self, f"p{index}", self.chance.choice([9, 11, 12, 13]))
            producer.start()
            self._again(self.chance.randint(1_500, 6_000), producer.start)
        fault = self.chance.choice([self._crash, self._lose, self._refuse, lambda: None])
        self._again(self.chance.randint(400, 4_000), fault)
        self._again(self.chance.randint(700, 6_000), self._lose)
        self._again(1_000, self.judge.look)
        self.time.run_until(self._busy_ms)
        self.stops, self.loss, self.late = True, 0.0, 0.0
        for log in self.broker.logs.values():
            log.is_refusing = False
        self.time.run_until(self._busy_ms + self._rest_ms)
        self.judge.check_end()
        return self

    def _again(self, every_ms: int, action: Callable[[], Any]) -> None:
        def act() -> None:
            if not self.stops:
                action()
                self.time.after(self.chance.randint(every_ms // 2, every_ms * 2), act)

        self.time.after(self.chance.randint(every_ms // 2, every_ms * 2), act)

    def _crash(self) -> None:
        self.broker.crash(self.chance.randint(50, 800))

    def _lose(self) -> None:
        self.broker.lose_coordinator(self.chance.randint(10, 400))

    def _refuse(self) -> None:
        log = self.chance.choice(list(self.broker.logs.values()))
        log.is_refusing = True
        self.time.after(self.chance.randint(50, 1_500), lambda: setattr(log, "is_refusing", False))


@pytest.fixture(scope="session")
def simulate() -> Callable[[int], World]:
    return lambda seed: World(seed).run()
