"""A broker on virtual time, with one coordinator of transactions and one of groups, that can crash and come back."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import msgspec
from transactional_log import CONFIG, TransactionalLog
from violation import Quiet, given_up
from virtual_time import Time

from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.core.txn.commands import AddPartitions, CompleteTransaction, VerifyPartitions
from mainstem.core.txn.settings import TransactionSettings
from mainstem.core.txn.shard import TransactionShard
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT, read_header
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import GROUP_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC
from mainstem.runtime.coordinator_replay import replay_batch
from mainstem.runtime.coordinator_shard import CoordinatorShard, EndMarker, RecordFormat, ShardSettings
from mainstem.runtime.coordinator_waiter import Waiter
from mainstem.runtime.transaction_markers import Completion
from mainstem.runtime.transaction_verification import TransactionVerifier, Writer, told_to_producer
from mainstem.wire.stored import consumer_offsets, transaction_state

DATA = (TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0))
OFFSETS = TopicPartition(GROUP_OFFSETS_TOPIC, 0)
STATE = TopicPartition(TRANSACTION_STATE_TOPIC, 0)
SETTINGS = TransactionSettings(abort_timed_out_interval_ms=500, remove_expired_interval_ms=10_000_000)


class Broker:
    """Serves while it is up; whatever was under way in a crash is never answered."""

    def __init__(self, time: Time, chance: random.Random) -> None:
        self.time, self.chance = time, chance
        self.logs = {name: TransactionalLog(name, time, chance) for name in (*DATA, OFFSETS, STATE)}
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
        return CoordinatorShard(log, machine, coding, ShardSettings(), self.time, self.time, Quiet(), given_up, effects)

    def _activate(self, shard: CoordinatorShard[Any], name: TopicPartition) -> None:
        """Not before everything that was read back is committed."""
        log = self.logs[name]
        last_offset = log.log_end_offset - 1
        log.when_committed(last_offset, lambda error: None if shard.is_closed else shard.activate(last_offset))

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
            log.fail_over()
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
        outcome = log.append_batch(marker.batch(self.time.now_ms()))
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

    def add_or_verify(self, writer: Writer, partitions: Any, done: Any) -> None:
        """The port for verification, over a network that takes its time."""
        make: Any = AddPartitions if writer.adds else VerifyPartitions
        versions = {"client_version": 2} if writer.adds else {}
        command = make(
            transactional_id=writer.transactional_id,
            producer_id=writer.producer_id,
            producer_epoch=writer.producer_epoch,
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
