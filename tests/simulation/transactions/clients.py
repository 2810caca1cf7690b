"""Producers of both protocol versions that crash, come twice, lose requests and replies; and the judge of what readers see."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

from violation import Violation

from mainstem.core.group.commands import CommitTransactionalOffsets, OffsetToCommit
from mainstem.core.txn.commands import AddPartitions, EndTransaction, InitProducerId, ProducerIdAndEpoch
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import GROUP_OFFSETS_TOPIC

E = ErrorCode
OFFSETS = TopicPartition(GROUP_OFFSETS_TOPIC, 0)
COMES_BACK = {
    E.CONCURRENT_TRANSACTIONS,
    E.COORDINATOR_LOAD_IN_PROGRESS,
    E.COORDINATOR_NOT_AVAILABLE,
    E.NOT_COORDINATOR,
    E.NOT_ENOUGH_REPLICAS,
}
FENCED = {E.PRODUCER_FENCED, E.INVALID_PRODUCER_EPOCH, E.INVALID_PRODUCER_ID_MAPPING}
TIMEOUT_MS = 700
TRIES = 4
Process = Generator[Callable[[Callable[[Any], None]], None], Any, Any]


class Transaction:
    """What its producer knows of it."""

    def __init__(self, name: str, transactional_id: str, number: int) -> None:
        self.name, self.transactional_id, self.number = name, transactional_id, number
        self.values: list[str] = []
        self.has_offsets = False
        self.asked_to_commit = False
        self.outcome: str | None = None


class Judge:
    def __init__(self, logs: Any, groups: Callable[[], Any]) -> None:
        self.transactions: dict[str, Transaction] = {}
        self.committed = self.aborted = self.unknown = 0
        self._logs = logs
        self._groups = groups
        self._stable: dict[TopicPartition, int] = {}
        for log in logs.values():
            log.watch = self.moved

    def begin(self, transactional_id: str, number: int) -> Transaction:
        name = f"{transactional_id}/{number}"
        made = self.transactions[name] = Transaction(name, transactional_id, number)
        return made

    def moved(self, log: Any) -> None:
        name, stable = log.topic_partition, log.last_stable_offset
        if stable < self._stable.get(name, 0):
            raise Violation(f"the last stable offset of {name} went back to {stable}")
        self._stable[name] = stable

    def look(self) -> Counter[str]:
        """What readers see now; nothing of a transaction that nobody asked to commit, or that was refused."""
        seen: Counter[str] = Counter()
        for log in self._logs.values():
            if log.topic_partition.topic.startswith("__"):
                continue
            seen.update(log.visible())
        for value in seen:
            found = self.transactions[value.rpartition("#")[0]]
            if not found.asked_to_commit or found.outcome == "aborted":
                raise Violation(f"{value} of a transaction that was not committed can be read")
        return seen

    def check_end(self) -> None:
        for name, log in self._logs.items():
            if log.last_stable_offset != log.log_end_offset:
                raise Violation(f"{name} hangs at {log.last_stable_offset} of {log.log_end_offset}")
        seen = self.look()
        if any(count > 1 for count in seen.values()):
            raise Violation(f"read twice: {[v for v, c in seen.items() if c > 1]}")
        newest: dict[str, Transaction] = {}
        for found in self.transactions.values():
            read = [value for value in found.values if value in seen]
            if found.outcome == "committed" and len(read) != len(found.values):
                raise Violation(f"{found.name} is committed, only {read} of {found.values} can be read")
            if read and len(read) != len(found.values):
                raise Violation(f"{found.name} is torn: only {read} of {found.values} can be read")
            is_visible = bool(read) or found.outcome == "committed"
            if is_visible and found.has_offsets:
                newest[found.transactional_id] = found
            self.committed += found.outcome == "committed"
            self.aborted += found.outcome == "aborted"
            self.unknown += found.outcome is None
        self._check_offsets(newest)

    def _check_offsets(self, newest: dict[str, Transaction]) -> None:
        for transactional_id, found in newest.items():
            kept = self._groups().offsets.of_group(f"g-{transactional_id}")
            metadata = [entry.stored.metadata for entry in kept.values()]
            if metadata != [found.name]:
                raise Violation(f"offsets of {metadata} count, {found.name} was committed last")
        for transactional_id in {t.transactional_id for t in self.transactions.values()} - set(newest):
            if self._groups().offsets.of_group(f"g-{transactional_id}"):
                raise Violation(f"offsets of {transactional_id} count, nothing was committed")


class Producer:
    """An application with one transactional id; a new incarnation may start while an old one still runs."""

    def __init__(self, world: Any, transactional_id: str, version: int) -> None:
        self.world, self.id, self.version = world, transactional_id, version
        self.is_v2 = version >= 12
        self.chance: random.Random = world.chance
        self._numbers = itertools.count(1)
        self._current = 0

    def start(self) -> None:
        """A new incarnation. Those before it stop, or do not know that they should."""
        self._current += 1
        self._run(self._live(), self._current)

    # --- running -----------------------------------------------------------------------------------------------------

    def _run(self, process: Process, incarnation: int) -> None:
        def resume(value: Any) -> None:
            if self.world.stops and self.chance.random() < 0.5:
                return  # Its owner pulls the plug, wherever it is.
            if incarnation < self._current and self.chance.random() < 0.3:
                return  # The process of an old incarnation dies at last.
            try:
                step = process.send(value)
            except StopIteration:
                return
            step(resume)

        resume(None)

    def _sleep(self, ms: int) -> Callable[[Callable[[Any], None]], None]:
        return lambda resume: self.world.time.after(ms, lambda: resume(None))

    def _call(
        self, send: Callable[[Any, Callable[[Any], None]], None], *, may_be_late: bool = True
    ) -> Callable[[Callable[[Any], None]], None]:
        """The result, or None if it did not come in time, which does not mean that nothing has happened or will."""
        world, chance = self.world, self.chance

        def step(resume: Callable[[Any], None]) -> None:
            told = [False]

            def once(value: Any) -> None:
                if not told[0]:
                    told[0] = True
                    resume(value)

            def deliver() -> None:
                broker = world.broker
                life = broker.life
                if not broker.is_up:
                    return

                def reply(value: Any) -> None:
                    if life == broker.life and chance.random() > world.loss:
                        world.time.after(chance.randint(0, 10), lambda: once(value))

                send(broker, reply)

            if chance.random() > world.loss:
                late = may_be_late and chance.random() < world.late
                world.time.after(chance.randint(400, 3_000) if late else chance.randint(0, 10), deliver)
            world.time.after(TIMEOUT_MS, lambda: once(None))

        return step

    # --- living ------------------------------------------------------------------------------------------------------

    def _live(self) -> Process:
        expected: tuple[int, int] | None = None
        while not self.world.stops:
            producer = yield from self._init(expected)
            expected = None
            sequences: dict[TopicPartition, int] = {}
            while producer is not None and not self.world.stops:
                producer, goes_on = yield from self._transaction(producer, sequences)
                if self.is_v2:
                    sequences.clear()
                if not goes_on:
                    expected, producer = producer, None
            yield self._sleep(self.chance.randint(0, 300))

    def _coordinate(self, command: Any) -> Callable[[Callable[[Any], None]], None]:
        """Without an epoch per transaction nothing protects from an EndTxn or a TxnOffsetCommit that arrives late: it counts
        for the next transaction. KIP-890 exists because of it; such requests may be lost here, and come late for version 2 only."""
        return self._call(lambda broker, reply: broker.ask_coordinator(command, reply), may_be_late=self.is_v2)

    def _init(self, expected: tuple[int, int] | None) -> Process:
        command = InitProducerId(
            transactional_id=self.id,
            timeout_ms=2_000,
            expected=None if expected is None else ProducerIdAndEpoch(*expected),
        )
        while True:
            result = yield self._coordinate(command)
            if result is not None and result.error is E.NONE:
                return (result.producer_id, result.producer_epoch)
            if result is not None and result.error in FENCED:
                return None
            yield self._sleep(40)

    def _transaction(self, producer: tuple[int, int], sequences: dict[TopicPartition, int]) -> Process:
        """Returns the producer, None if it is not one any more, and whether it may go on as it is."""
        chance = self.chance
        told = self.world.judge.begin(self.id, next(self._numbers))
        added: set[TopicPartition] = set()
        problem: ErrorCode | None = None
        has_written = False
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.02:
                yield self._sleep(chance.randint(1_000, 5_000))
            problem = yield from self._write(told, producer, sequences, added)
            if problem is not None:
                break
            has_written = True
        if problem is None and chance.random() < 0.5:
            problem = yield from self._commit_offsets(told, producer, added)
        if problem in FENCED:
            return None, False
        told.asked_to_commit = problem is None and chance.random() < 0.7
        if not has_written and not added and not self.is_v2:
            return (producer, True) if problem is None else (producer, False)
        ended = yield from self._end(told, producer)
        if ended is None:
            return None, False
        # Without an epoch per transaction, what may still be under way could be taken for a part of the next one.
        return ended, problem is None or self.is_v2

    def _add(self, producer: tuple[int, int], partition: TopicPartition, added: set[TopicPartition]) -> Process:
        command = AddPartitions(
            transactional_id=self.id, producer_id=producer[0], producer_epoch=producer[1], partitions=(partition,)
        )
        while True:
            result = yield self._coordinate(command)
            added.add(partition)
            if result is None or result.error in COMES_BACK:
                yield self._sleep(30)
            elif result.error is E.NONE:
                return None
            else:
                return result.error

    def _write(
        self,
        told: Transaction,
        producer: tuple[int, int],
        sequences: dict[TopicPartition, int],
        added: set[TopicPartition],
    ) -> Process:
        """None once it is acknowledged, else why it is not; a batch that was given up may still arrive."""
        partition = self.chance.choice(self.world.data)
        if not self.is_v2 and partition not in added:
            problem = yield from self._add(producer, partition, added)
            if problem is not None:
                return problem
        sequence = sequences.get(partition, 0)
        values = [f"{told.name}#{len(told.values) + i}" for i in range(self.chance.randint(1, 2))]
        for _ in range(TRIES):
            error = yield self._call(
                lambda broker, reply: broker.produce(
                    self.id, producer, self.version, partition, sequence, values, reply
                )
            )
            if error is E.NONE:
                told.values += values
                sequences[partition] = sequence + len(values)
                return None
            if error is not None and error not in COMES_BACK:
                return error
            yield self._sleep(30)
        return E.REQUEST_TIMED_OUT

    def _commit_offsets(self, told: Transaction, producer: tuple[int, int], added: set[TopicPartition]) -> Process:
        if not self.is_v2 and OFFSETS not in added:
            problem = yield from self._add(producer, OFFSETS, added)
            if problem is not None:
                return problem
        command = CommitTransactionalOffsets(
            group_id=f"g-{self.id}",
            producer_id=producer[0],
            producer_epoch=producer[1],
            generation=-1,
            member_id="",
            group_instance_id=None,
            offsets=(OffsetToCommit(topic="source", partition=0, offset=told.number, metadata=told.name),),
        )
        for _ in range(TRIES):
            result = yield self._call(
                lambda broker, reply: broker.commit_offsets(self.id, self.version, command, reply),
                may_be_late=self.is_v2,
            )
            error = None if result is None else result.offsets[0].error
            if error is E.NONE:
                told.has_offsets = True
                return None
            if error is not None and error not in COMES_BACK:
                return error
            yield self._sleep(30)
        return E.REQUEST_TIMED_OUT

    def _end(self, told: Transaction, producer: tuple[int, int]) -> Process:
        command = EndTransaction(
            transactional_id=self.id,
            producer_id=producer[0],
            producer_epoch=producer[1],
            is_commit=told.asked_to_commit,
            client_version=2 if self.is_v2 else 0,
        )
        if not told.asked_to_commit:
            told.outcome = "aborted"
        while True:
            result = yield self._coordinate(command)
            if result is None or result.error in COMES_BACK:
                yield self._sleep(30)
            elif result.error is E.NONE:
                told.outcome = "committed" if told.asked_to_commit else "aborted"
                return (result.producer_id, result.producer_epoch) if self.is_v2 else producer
            elif result.error is E.INVALID_TXN_STATE:
                # Time was up, and the coordinator has aborted it; or there was nothing to end.
                told.outcome = "aborted"
                return None
            else:
                return None
