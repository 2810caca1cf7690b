"""InitProducerId: new producers, those that go on, zombies, and epochs that run out."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.txn.records import EPOCH_MAX, TransactionState
from mainstem.model.errors import ErrorCode

S = TransactionState


def test_the_first_producer_gets_a_fresh_id_and_epoch_0(bench: Any) -> None:
    first = bench.init()
    assert (first.error, first.producer_id, first.producer_epoch) == (ErrorCode.NONE, 101, 0)
    assert (bench.now.state, bench.now.partitions, bench.now.started_at_ms) == (S.EMPTY, (), -1)


def test_every_next_producer_gets_the_next_epoch(bench: Any) -> None:
    assert [bench.init().producer_epoch for _ in range(3)] == [0, 1, 2]
    assert bench.fresh_ids == 101, "one id was needed"


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001, 2**31 - 1])
def test_a_timeout_out_of_range_is_refused(bench: Any, timeout_ms: int) -> None:
    assert bench.init(timeout_ms=timeout_ms).error is ErrorCode.INVALID_TRANSACTION_TIMEOUT
    assert not bench.log


@pytest.mark.parametrize("timeout_ms", [1, 900_000])
def test_a_timeout_at_the_border_is_kept(bench: Any, timeout_ms: int) -> None:
    bench.init(timeout_ms=timeout_ms)
    assert bench.now.timeout_ms == timeout_ms


class TestKnownProducer:
    """KIP-360: the producer says who it is and goes on."""

    def test_with_the_epoch_of_now(self, bench: Any) -> None:
        bench.put(producer_epoch=5)
        assert bench.init((1, 5)).producer_epoch == 6
        assert bench.now.last_producer_epoch == 5

    def test_again_because_the_answer_was_lost(self, bench: Any) -> None:
        bench.put(producer_epoch=5)
        bench.init((1, 5))
        assert bench.init((1, 5)).producer_epoch == 6

    def test_again_after_a_restart_is_taken_for_a_zombie(self, bench: Any) -> None:
        """As in Kafka, whose log does not keep the last epoch."""
        bench.put(producer_epoch=5)
        bench.init((1, 5))
        assert bench.restarted().init((1, 5)).error is ErrorCode.PRODUCER_FENCED

    def test_not_after_somebody_else_came(self, bench: Any) -> None:
        bench.put(producer_epoch=5)
        bench.init()
        assert bench.init((1, 5)).error is ErrorCode.PRODUCER_FENCED

    @pytest.mark.parametrize("expected", [(1, 4), (1, 6), (2, 5), (0, 5)])
    def test_not_as_somebody_else(self, bench: Any, expected: tuple[int, int]) -> None:
        bench.put(producer_epoch=5)
        assert bench.init(expected).error is ErrorCode.PRODUCER_FENCED

    def test_of_an_id_that_was_forgotten_gets_a_fresh_one(self, bench: Any) -> None:
        known = bench.init((77, 3))
        assert (known.error, known.producer_id, known.producer_epoch) == (ErrorCode.NONE, 101, 0)


class TestWhileATransactionRuns:
    def test_it_is_aborted_and_the_producer_told_to_come_back(self, bench: Any) -> None:
        bench.init()
        bench.add(101, 0)
        assert bench.init().error is ErrorCode.CONCURRENT_TRANSACTIONS
        assert (bench.now.state, bench.now.producer_epoch) == (S.PREPARE_ABORT, 1)
        assert bench.init().error is ErrorCode.CONCURRENT_TRANSACTIONS
        marker = bench.write_markers()
        assert (marker.is_commit, marker.producer_epoch) == (False, 1)
        assert bench.init().producer_epoch == 2
        assert bench.add(101, 0) is ErrorCode.PRODUCER_FENCED

    @pytest.mark.parametrize("state", [S.PREPARE_COMMIT, S.PREPARE_ABORT])
    def test_one_that_is_decided_is_waited_for(self, bench: Any, state: TransactionState) -> None:
        stored = bench.put(state=state)
        assert bench.init().error is ErrorCode.CONCURRENT_TRANSACTIONS
        assert bench.init((9, 9)).error is ErrorCode.CONCURRENT_TRANSACTIONS, "before anything else, as in Kafka"
        assert bench.now == stored

    def test_one_of_a_zombie_is_not_aborted_by_it(self, bench: Any) -> None:
        bench.put(state=S.ONGOING, producer_epoch=5)
        assert bench.init((2, 5)).error is ErrorCode.PRODUCER_FENCED
        assert bench.now.state is S.ONGOING


class TestEpochsRunOut:
    LAST = EPOCH_MAX - 1

    def test_a_new_producer_gets_a_fresh_id(self, bench: Any) -> None:
        bench.put(producer_epoch=self.LAST)
        fresh = bench.init()
        assert (fresh.producer_id, fresh.producer_epoch) == (101, 0)
        assert (bench.now.previous_producer_id, bench.now.last_producer_epoch) == (1, -1)

    def test_the_producer_that_goes_on_gets_a_fresh_id_and_may_ask_again(self, bench: Any) -> None:
        bench.put(producer_epoch=self.LAST)
        fresh = bench.init((1, self.LAST))
        again = bench.init((1, self.LAST))
        assert (fresh.producer_id, fresh.producer_epoch) == (again.producer_id, again.producer_epoch) == (101, 0)
        assert bench.fresh_ids == 101

    def test_a_zombie_is_not_helped(self, bench: Any) -> None:
        bench.put(producer_epoch=self.LAST)
        assert bench.init((1, self.LAST - 1)).error is ErrorCode.PRODUCER_FENCED

    def test_there_is_an_epoch_left_to_fence_with(self, bench: Any) -> None:
        bench.put(producer_epoch=self.LAST, state=S.ONGOING, started_at_ms=0, partitions=())
        assert bench.init().error is ErrorCode.CONCURRENT_TRANSACTIONS
        assert bench.now.producer_epoch == EPOCH_MAX
        bench.write_markers()
        assert bench.init((1, self.LAST)).error is ErrorCode.PRODUCER_FENCED
        assert (bench.init().producer_id, bench.now.producer_epoch) == (101, 0)
