"""EndTxn with and without an epoch per transaction, retries, time that is up, markers, and coordinators that come back."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.txn.commands import AbortTimedOut, CompleteTransaction, RemoveExpired
from mainstem.core.txn.records import EPOCH_MAX, TransactionRemoved, TransactionState
from mainstem.core.txn.shard import ABORT_TIMER, EXPIRY_TIMER
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

S = TransactionState
A, B = TopicPartition("a", 0), TopicPartition("b", 1)
PREPARED = {True: S.PREPARE_COMMIT, False: S.PREPARE_ABORT}
COMPLETE = {True: S.COMPLETE_COMMIT, False: S.COMPLETE_ABORT}


@pytest.mark.parametrize("commit", [True, False])
class TestVersion0:
    """The epoch stays; a retry looks like the first call."""

    def test_decided_marked_complete(self, bench: Any, commit: bool) -> None:
        bench.put()
        bench.add(1, 5, A, B, version=0)
        bench.now_ms += 10
        assert bench.end(1, 5, commit=commit, version=0).error is ErrorCode.NONE
        assert (bench.now.state, bench.now.producer_epoch, bench.now.partitions) == (PREPARED[commit], 5, (A, B))
        marker = bench.write_markers()
        assert (marker.is_commit, marker.producer_epoch, marker.partitions) == (commit, 5, (A, B))
        assert (bench.now.state, bench.now.partitions, bench.now.producer_epoch) == (COMPLETE[commit], (), 5)

    def test_a_retry(self, bench: Any, commit: bool) -> None:
        bench.put(state=S.ONGOING, partitions=(A,))
        bench.end(1, 5, commit=commit, version=0)
        assert bench.end(1, 5, commit=commit, version=0).error is ErrorCode.CONCURRENT_TRANSACTIONS
        bench.write_markers()
        assert bench.end(1, 5, commit=commit, version=0).error is ErrorCode.NONE
        assert bench.end(1, 5, commit=not commit, version=0).error is ErrorCode.INVALID_TXN_STATE

    def test_without_a_transaction(self, bench: Any, commit: bool) -> None:
        bench.put()
        assert bench.end(1, 5, commit=commit, version=0).error is ErrorCode.INVALID_TXN_STATE

    @pytest.mark.parametrize(
        ("producer", "error"),
        [
            ((2, 5), ErrorCode.INVALID_PRODUCER_ID_MAPPING),
            ((1, 4), ErrorCode.PRODUCER_FENCED),
            ((1, 6), ErrorCode.PRODUCER_FENCED),
        ],
    )
    @pytest.mark.parametrize("state", [S.ONGOING, S.PREPARE_COMMIT, S.COMPLETE_ABORT, S.EMPTY])
    def test_by_others(
        self, bench: Any, commit: bool, producer: tuple[int, int], error: ErrorCode, state: TransactionState
    ) -> None:
        stored = bench.put(state=state)
        assert bench.end(*producer, commit=commit, version=0).error is error
        assert bench.now == stored


@pytest.mark.parametrize("commit", [True, False])
class TestVersion2:
    """Every end is the end of the epoch (KIP-890)."""

    def test_decided_marked_complete(self, bench: Any, commit: bool) -> None:
        bench.put()
        bench.add(1, 5, A)
        result = bench.end(1, 5, commit=commit)
        assert (result.error, result.producer_id, result.producer_epoch) == (ErrorCode.NONE, 1, 6)
        marker = bench.write_markers()
        assert (marker.is_commit, marker.producer_epoch) == (commit, 6)
        assert (bench.now.state, bench.now.producer_epoch, bench.now.last_producer_epoch) == (COMPLETE[commit], 6, 5)
        assert bench.add(1, 5) is ErrorCode.PRODUCER_FENCED, "nothing late of the last transaction"
        assert bench.add(1, 6) is ErrorCode.NONE

    def test_a_retry_while_markers_are_written(self, bench: Any, commit: bool) -> None:
        bench.put(state=S.ONGOING, partitions=(A,))
        bench.end(1, 5, commit=commit)
        for retry in (commit, not commit):
            assert bench.end(1, 5, commit=retry).error is ErrorCode.CONCURRENT_TRANSACTIONS

    def test_a_retry_when_all_is_done(self, bench: Any, commit: bool) -> None:
        bench.put(state=S.ONGOING, partitions=(A,))
        first = bench.end(1, 5, commit=commit)
        bench.write_markers()
        again = bench.end(1, 5, commit=commit)
        assert (again.error, again.producer_id, again.producer_epoch) == (ErrorCode.NONE, 1, first.producer_epoch)
        assert bench.end(1, 5, commit=not commit).error is ErrorCode.INVALID_TXN_STATE

    def test_a_retry_finds_its_epoch_after_a_restart(self, bench: Any, commit: bool) -> None:
        bench.put(state=S.ONGOING, partitions=(A,))
        bench.end(1, 5, commit=commit)
        bench.write_markers()
        assert bench.restarted().end(1, 5, commit=commit).producer_epoch == 6

    @pytest.mark.parametrize(
        ("producer", "error"),
        [
            ((2, 5), ErrorCode.INVALID_PRODUCER_ID_MAPPING),
            ((1, 3), ErrorCode.PRODUCER_FENCED),
            ((1, 6), ErrorCode.PRODUCER_FENCED),
        ],
    )
    @pytest.mark.parametrize("state", [S.ONGOING, S.COMPLETE_ABORT, S.COMPLETE_COMMIT, S.EMPTY])
    def test_by_others(
        self, bench: Any, commit: bool, producer: tuple[int, int], error: ErrorCode, state: TransactionState
    ) -> None:
        stored = bench.put(state=state)
        assert bench.end(*producer, commit=commit).error is error
        assert bench.now == stored

    @pytest.mark.parametrize("state", [S.ONGOING, S.EMPTY])
    def test_the_epoch_before_where_nothing_can_have_ended(
        self, bench: Any, commit: bool, state: TransactionState
    ) -> None:
        bench.put(state=state)
        assert bench.end(1, 4, commit=commit).error is ErrorCode.PRODUCER_FENCED

    def test_the_last_epoch_brings_the_next_id(self, bench: Any, commit: bool) -> None:
        last = EPOCH_MAX - 1
        bench.put(state=S.ONGOING, partitions=(A,), producer_epoch=last)
        result = bench.end(1, last, commit=commit)
        assert (result.producer_id, result.producer_epoch) == (101, 0)
        assert (bench.now.producer_id, bench.now.producer_epoch, bench.now.next_producer_id) == (1, EPOCH_MAX, 101)
        assert bench.add(101, 0) is ErrorCode.CONCURRENT_TRANSACTIONS
        assert bench.write_markers().producer_epoch == EPOCH_MAX
        assert (bench.now.producer_id, bench.now.producer_epoch, bench.now.next_producer_id) == (101, 0, -1)
        again = bench.end(1, last, commit=commit)
        assert (again.error, again.producer_id, again.producer_epoch) == (ErrorCode.NONE, 101, 0)
        assert bench.add(101, 0) is ErrorCode.NONE

    def test_the_next_id_survives_a_restart(self, bench: Any, commit: bool) -> None:
        last = EPOCH_MAX - 1
        bench.put(state=S.ONGOING, partitions=(A,), producer_epoch=last)
        bench.end(1, last, commit=commit)
        back = bench.restarted()
        back.write_markers()
        assert (back.now.producer_id, back.now.producer_epoch) == (101, 0)
        assert back.end(1, last, commit=commit).producer_id == 101


class TestVersion2WithoutATransaction:
    """A producer that is not sure whether it has begun one may abort."""

    @pytest.mark.parametrize("state", [S.EMPTY, S.COMPLETE_COMMIT, S.COMPLETE_ABORT])
    def test_abort_ends_the_epoch(self, bench: Any, state: TransactionState) -> None:
        bench.put(state=state, started_at_ms=-1)
        assert bench.end(1, 5, commit=False).producer_epoch == 6
        marker = bench.write_markers()
        assert (marker.partitions, bench.now.state) == ((), S.COMPLETE_ABORT)
        assert bench.now.started_at_ms == bench.now_ms

    @pytest.mark.parametrize("state", [S.EMPTY, S.COMPLETE_COMMIT, S.COMPLETE_ABORT])
    def test_commit_is_refused(self, bench: Any, state: TransactionState) -> None:
        stored = bench.put(state=state)
        assert bench.end(1, 5, commit=True).error is ErrorCode.INVALID_TXN_STATE
        assert bench.now == stored


@pytest.mark.parametrize("version", [0, 2])
def test_an_unknown_id_has_no_mapping(bench: Any, version: int) -> None:
    assert bench.end(1, 5, version=version).error is ErrorCode.INVALID_PRODUCER_ID_MAPPING


class TestMarkers:
    def test_news_of_another_transaction_changes_nothing(self, bench: Any) -> None:
        stored = bench.put(state=S.PREPARE_COMMIT, partitions=(A,), producer_epoch=6)
        for producer_id, epoch in ((1, 5), (1, 7), (2, 6)):
            bench.give(CompleteTransaction(transactional_id="tx", producer_id=producer_id, producer_epoch=epoch))
        bench.give(CompleteTransaction(transactional_id="unknown", producer_id=1, producer_epoch=6))
        assert bench.now == stored

    @pytest.mark.parametrize("state", [S.EMPTY, S.ONGOING, S.COMPLETE_ABORT, S.COMPLETE_COMMIT])
    def test_news_that_come_twice_change_nothing(self, bench: Any, state: TransactionState) -> None:
        stored = bench.put(state=state)
        bench.give(CompleteTransaction(transactional_id="tx", producer_id=1, producer_epoch=5))
        assert bench.now == stored

    @pytest.mark.parametrize("state", [S.PREPARE_COMMIT, S.PREPARE_ABORT])
    def test_a_coordinator_that_comes_back_writes_them_again(self, bench: Any, state: TransactionState) -> None:
        bench.put(state=state, partitions=(A, B))
        back = bench.restarted()
        (marker,) = back.markers
        assert (marker.partitions, marker.is_commit) == ((A, B), state is S.PREPARE_COMMIT)
        back.write_markers()
        assert not back.restarted().markers

    @pytest.mark.parametrize("state", [S.EMPTY, S.ONGOING, S.COMPLETE_COMMIT, S.COMPLETE_ABORT])
    def test_a_coordinator_that_comes_back_writes_none_otherwise(self, bench: Any, state: TransactionState) -> None:
        bench.put(state=state)
        assert bench.restarted().markers == []

    def test_a_completion_that_cannot_be_written_is_tried_again(self, bench: Any) -> None:
        bench.put(state=S.PREPARE_COMMIT, producer_epoch=6)
        command = CompleteTransaction(transactional_id="tx", producer_id=1, producer_epoch=6)
        decision = bench.shard.decide(command, bench.now_ms)
        refused = bench.shard.reject(decision.records, ErrorCode.COORDINATOR_NOT_AVAILABLE, bench.now_ms)
        again = [t.command for t in refused.timers if isinstance(t.command, CompleteTransaction)]
        assert again == [command]
        assert {t.key for t in refused.timers} >= {ABORT_TIMER, EXPIRY_TIMER}


class TestTimeout:
    def open(self, bench: Any, timeout_ms: int = 1_000) -> None:
        bench.init(timeout_ms=timeout_ms)
        bench.add(101, 0, A)

    def test_a_transaction_that_is_open_too_long_is_aborted(self, bench: Any) -> None:
        self.open(bench)
        bench.now_ms += 1_001
        bench.give(AbortTimedOut())
        assert (bench.now.state, bench.now.producer_epoch) == (S.PREPARE_ABORT, 1)
        bench.write_markers()
        assert bench.end(101, 0, commit=True).error is ErrorCode.INVALID_TXN_STATE
        assert bench.add(101, 0) is ErrorCode.PRODUCER_FENCED

    def test_not_a_moment_too_early(self, bench: Any) -> None:
        self.open(bench)
        bench.now_ms += 1_000
        bench.give(AbortTimedOut())
        assert bench.now.state is S.ONGOING

    @pytest.mark.parametrize("state", [S.EMPTY, S.PREPARE_COMMIT, S.PREPARE_ABORT, S.COMPLETE_COMMIT, S.COMPLETE_ABORT])
    def test_others_have_time(self, bench: Any, state: TransactionState) -> None:
        stored = bench.put(state=state, started_at_ms=0)
        bench.give(AbortTimedOut())
        assert bench.now == stored

    def test_transactions_without_a_limit_stay_open(self, bench: Any) -> None:
        stored = bench.put(state=S.ONGOING, started_at_ms=0, timeout_ms=2**31 - 1)
        bench.now_ms = 2**40
        bench.give(AbortTimedOut())
        assert bench.now == stored

    def test_it_looks_again_by_itself(self, bench: Any) -> None:
        assert bench.timers[ABORT_TIMER].delay_ms == 10_000
        bench.timers.clear()
        bench.give(AbortTimedOut())
        assert bench.timers[ABORT_TIMER].delay_ms == 10_000

    def test_after_a_restart_too(self, bench: Any) -> None:
        self.open(bench)
        back = bench.restarted()
        back.now_ms = bench.now_ms + 1_001
        back.give(AbortTimedOut())
        assert back.now.state is S.PREPARE_ABORT


class TestExpiry:
    WEEK_MS = 604_800_000

    @pytest.mark.parametrize("state", [S.EMPTY, S.COMPLETE_COMMIT, S.COMPLETE_ABORT])
    def test_an_id_that_nobody_uses_is_forgotten(self, bench: Any, state: TransactionState) -> None:
        bench.put(state=state)
        bench.now_ms += self.WEEK_MS
        bench.give(RemoveExpired())
        assert bench.shard.transactions == {}
        assert bench.log[-1] == TransactionRemoved(transactional_id="tx")
        assert bench.restarted().shard.transactions == {}

    def test_not_a_moment_too_early(self, bench: Any) -> None:
        bench.put()
        bench.now_ms += self.WEEK_MS - 1
        bench.give(RemoveExpired())
        assert bench.now

    @pytest.mark.parametrize("state", [S.ONGOING, S.PREPARE_COMMIT, S.PREPARE_ABORT])
    def test_not_in_the_middle_of_a_transaction(self, bench: Any, state: TransactionState) -> None:
        bench.put(state=state)
        bench.now_ms += 2 * self.WEEK_MS
        bench.give(RemoveExpired())
        assert bench.now.state is state
        assert bench.timers[EXPIRY_TIMER].delay_ms == 3_600_000
