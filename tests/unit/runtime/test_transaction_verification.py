"""Who asks a coordinator, when, and in which order what was asked for is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from mainstem.core.log.state import LogState
from mainstem.core.log.verification import Admission
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.ids import TopicPartition
from mainstem.runtime.transaction_verification import (
    TransactionVerifier,
    Writer,
    told_to_committer,
    told_to_producer,
)

A, B = TopicPartition("a", 0), TopicPartition("b", 0)
E = ErrorCode


class FakeLog:
    def __init__(self, name: TopicPartition, *, is_broken: bool = False) -> None:
        self.topic_partition = name
        self.state = LogState()
        self.is_broken = is_broken

    @property
    def log_end_offset(self) -> int:
        if self.is_broken:
            raise StorageError("here", "disk on fire")
        return 0

    def begin(self, producer_id: int, epoch: int) -> None:
        """As if the first batch of the transaction had been appended."""
        from mainstem.model import records
        from mainstem.model.batch import TRANSACTIONAL_BIT, read_header

        batch = records.encode(
            [None],
            [b"v"],
            [0],
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=0,
            attributes=TRANSACTIONAL_BIT,
        )
        self.state.apply(read_header(batch), batch, 0, 0)


class FakeCoordinator:
    """Answers when the test says so, or at once."""

    def __init__(self) -> None:
        self.asked: list[
            tuple[Sequence[TopicPartition], bool, Callable[[Mapping[TopicPartition, ErrorCode]], None]]
        ] = []
        self.at_once: ErrorCode | None = None

    def add_or_verify(self, writer: Writer, partitions: Any, done: Any) -> None:
        self.asked.append((partitions, writer.adds, done))
        if self.at_once is not None:
            done(dict.fromkeys(partitions, self.at_once))

    def answer(self, error: ErrorCode = E.NONE, slot: int = -1) -> None:
        partitions, _, done = self.asked[slot]
        done(dict.fromkeys(partitions, error))


class FakeTime:
    def __init__(self) -> None:
        self.ms = 0
        self.due: list[tuple[float, Callable[[], Any]]] = []

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        self.due.append((self.ms + delay * 1000, lambda: callback(*args)))

    def advance(self, ms: int) -> None:
        self.ms += ms
        due, self.due = [d for d in self.due if d[0] <= self.ms], [d for d in self.due if d[0] > self.ms]
        for _, action in due:
            action()


class Bench:
    def __init__(self, **texts: str) -> None:
        self.time = FakeTime()
        self.coordinator = FakeCoordinator()
        config = BrokerConfig.from_texts(texts)
        self.verifier = TransactionVerifier(self.coordinator, self.time, self.time, lambda: config)
        self.a, self.b = FakeLog(A), FakeLog(B)
        self.told: list[tuple[str, Any]] = []

    def admit(self, name: str, *logs: FakeLog, producer_id: int = 1, epoch: int = 0, adds: bool = True) -> None:
        def done(answers: Any) -> None:
            self.told.append((name, answers))
            for log, answer in zip(logs, answers, strict=True):
                if isinstance(answer, Admission) and not log.state.producers.has_ongoing_transaction(
                    producer_id, epoch
                ):
                    log.begin(producer_id, epoch)

        self.verifier.admit(Writer("tx", producer_id, epoch, adds), [(log, 0) for log in logs], done)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_log_with_the_transaction_asks_nobody(bench: Bench) -> None:
    bench.a.begin(1, 0)
    bench.admit("first", bench.a)
    assert bench.coordinator.asked == []
    assert bench.told == [("first", [Admission()])]


def test_logs_without_it_are_asked_about_together(bench: Bench) -> None:
    bench.admit("first", bench.a, bench.b)
    ((partitions, adds, _),) = bench.coordinator.asked
    assert (list(partitions), adds) == ([A, B], True)
    assert bench.told == []
    bench.coordinator.answer()
    ((_, answers),) = bench.told
    assert [a.verification.epoch for a in answers] == [0, 0]


def test_only_those_without_it_are_asked_about(bench: Bench) -> None:
    bench.b.begin(1, 0)
    bench.admit("first", bench.a, bench.b, adds=False)
    ((partitions, adds, _),) = bench.coordinator.asked
    assert (list(partitions), adds) == ([A], False)
    bench.coordinator.answer(E.TRANSACTION_ABORTABLE)
    assert bench.told == [("first", [E.TRANSACTION_ABORTABLE, Admission()])]


def test_later_requests_wait_for_earlier_ones_of_their_producer(bench: Bench) -> None:
    """Also those that need not ask: their batch would overtake the one that is asked about."""
    bench.b.begin(1, 0)
    bench.admit("first", bench.a, bench.b)
    bench.admit("second", bench.b)
    bench.admit("third", bench.a)
    bench.admit("other", bench.a, producer_id=2)
    assert bench.names == []
    bench.coordinator.answer(slot=0)
    assert bench.names == ["first", "second", "third"], "by the third the log has the transaction"
    bench.coordinator.answer(slot=1)
    assert bench.names == ["first", "second", "third", "other"]


def test_a_failure_lets_the_next_one_ask(bench: Bench) -> None:
    bench.admit("first", bench.a)
    bench.admit("second", bench.a)
    bench.coordinator.answer(E.COORDINATOR_LOAD_IN_PROGRESS)
    assert bench.told == [("first", [E.COORDINATOR_LOAD_IN_PROGRESS])]
    assert len(bench.coordinator.asked) == 2
    bench.coordinator.answer()
    assert bench.names == ["first", "second"]


def test_a_coordinator_that_answers_at_once(bench: Bench) -> None:
    bench.coordinator.at_once = E.PRODUCER_FENCED
    for name in ("first", "second"):
        bench.admit(name, bench.a)
    assert bench.told == [("first", [E.PRODUCER_FENCED]), ("second", [E.PRODUCER_FENCED])]
    assert bench.verifier._lines == {}


def test_a_request_that_is_made_while_another_is_told_comes_after_it(bench: Bench) -> None:
    bench.coordinator.at_once = E.NONE
    order: list[str] = []

    def first(answers: Any) -> None:
        bench.verifier.admit(Writer("tx", 1, 0, True), [(bench.b, 0)], lambda answers: order.append("second"))
        order.append("first")

    bench.verifier.admit(Writer("tx", 1, 0, True), [(bench.a, 0)], first)
    assert order == ["first", "second"]


def test_one_that_breaks_does_not_hold_up_the_next(bench: Bench) -> None:
    def broken(answers: Any) -> None:
        raise RuntimeError("a bug")

    bench.verifier.admit(Writer("tx", 1, 0, True), [(bench.a, 0)], broken)
    bench.admit("second", bench.a)
    with pytest.raises(RuntimeError):
        bench.coordinator.answer()
    bench.coordinator.answer()
    assert bench.names == ["second"]


def test_an_old_epoch_is_refused_without_asking(bench: Bench) -> None:
    bench.a.begin(1, 5)
    bench.admit("zombie", bench.a, epoch=4)
    assert bench.told == [("zombie", [E.INVALID_PRODUCER_EPOCH])]
    assert bench.coordinator.asked == []


def test_a_log_that_cannot_be_opened(bench: Bench) -> None:
    bench.admit("first", FakeLog(A, is_broken=True), bench.b)
    bench.coordinator.answer()
    ((_, (broken, fine)),) = bench.told
    assert broken is E.KAFKA_STORAGE_ERROR
    assert isinstance(fine, Admission)


class TestConcurrentTransactions:
    """The last transaction is still being completed: it is asked again for a tenth of a second."""

    def test_until_it_is_complete(self, bench: Bench) -> None:
        bench.admit("first", bench.a)
        bench.coordinator.answer(E.CONCURRENT_TRANSACTIONS)
        assert bench.told == []
        bench.time.advance(19)
        assert len(bench.coordinator.asked) == 1
        bench.time.advance(1)
        assert len(bench.coordinator.asked) == 2
        bench.coordinator.answer()
        assert bench.names == ["first"]

    def test_until_the_time_is_up(self, bench: Bench) -> None:
        bench.admit("first", bench.a)
        for _ in range(5):
            bench.coordinator.answer(E.CONCURRENT_TRANSACTIONS)
            bench.time.advance(20)
        assert bench.told == []
        bench.coordinator.answer(E.CONCURRENT_TRANSACTIONS)
        assert bench.told == [("first", [E.CONCURRENT_TRANSACTIONS])]


class TestSwitchedOff:
    def test_older_clients_are_believed(self) -> None:
        bench = Bench(**{"transaction.partition.verification.enable": "false"})
        bench.admit("first", bench.a, adds=False)
        assert bench.told == [("first", [Admission(is_required=False)])]
        assert bench.coordinator.asked == []

    def test_newer_ones_still_have_their_partitions_added(self) -> None:
        bench = Bench(**{"transaction.partition.verification.enable": "false"})
        bench.admit("first", bench.a)
        assert len(bench.coordinator.asked) == 1


@pytest.mark.parametrize(
    ("error", "version", "told"),
    [
        (E.PRODUCER_FENCED, 9, E.INVALID_PRODUCER_EPOCH),
        (E.PRODUCER_FENCED, 12, E.INVALID_PRODUCER_EPOCH),
        (E.TRANSACTION_ABORTABLE, 10, E.INVALID_TXN_STATE),
        (E.TRANSACTION_ABORTABLE, 11, E.TRANSACTION_ABORTABLE),
        (E.COORDINATOR_LOAD_IN_PROGRESS, 13, E.NOT_ENOUGH_REPLICAS),
        (E.COORDINATOR_NOT_AVAILABLE, 9, E.NOT_ENOUGH_REPLICAS),
        (E.NOT_COORDINATOR, 9, E.NOT_ENOUGH_REPLICAS),
        (E.NETWORK_EXCEPTION, 9, E.NOT_ENOUGH_REPLICAS),
        (E.CONCURRENT_TRANSACTIONS, 11, E.NOT_ENOUGH_REPLICAS),
        (E.CONCURRENT_TRANSACTIONS, 12, E.CONCURRENT_TRANSACTIONS),
        (E.INVALID_PRODUCER_ID_MAPPING, 12, E.INVALID_PRODUCER_ID_MAPPING),
        (E.INVALID_TXN_STATE, 12, E.INVALID_TXN_STATE),
    ],
)
def test_a_producer_is_told_what_it_understands(error: ErrorCode, version: int, told: ErrorCode) -> None:
    assert told_to_producer(error, version) is told


@pytest.mark.parametrize(
    ("error", "version", "told"),
    [
        (E.PRODUCER_FENCED, 3, E.INVALID_PRODUCER_EPOCH),
        (E.TRANSACTION_ABORTABLE, 3, E.INVALID_TXN_STATE),
        (E.TRANSACTION_ABORTABLE, 4, E.TRANSACTION_ABORTABLE),
        (E.NETWORK_EXCEPTION, 5, E.COORDINATOR_LOAD_IN_PROGRESS),
        (E.CONCURRENT_TRANSACTIONS, 5, E.CONCURRENT_TRANSACTIONS),
    ],
)
def test_who_commits_offsets_is_told_what_it_understands(error: ErrorCode, version: int, told: ErrorCode) -> None:
    assert told_to_committer(error, version) is told
