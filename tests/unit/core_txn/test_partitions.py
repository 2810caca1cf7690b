"""AddPartitionsToTxn, and the verification that the partitions' logs ask for."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.txn.records import TransactionState
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

S = TransactionState
A, B, C = TopicPartition("a", 0), TopicPartition("b", 1), TopicPartition("a", 7)


@pytest.mark.parametrize("state", [S.EMPTY, S.COMPLETE_COMMIT, S.COMPLETE_ABORT])
@pytest.mark.parametrize("version", [0, 2])
def test_the_first_partitions_begin_the_transaction(bench: Any, state: TransactionState, version: int) -> None:
    bench.put(state=state)
    assert bench.add(1, 5, B, A, version=version) is ErrorCode.NONE
    now = bench.now
    assert (now.state, now.partitions, now.started_at_ms) == (S.ONGOING, (A, B), bench.now_ms)
    assert now.client_version == version


def test_later_partitions_join_it(bench: Any) -> None:
    bench.put()
    bench.add(1, 5, A)
    bench.now_ms += 500
    bench.add(1, 5, C, B)
    assert bench.now.partitions == (A, C, B)
    assert (bench.now.started_at_ms, bench.now.updated_at_ms) == (bench.now_ms - 500, bench.now_ms)


def test_partitions_that_are_there_write_nothing(bench: Any) -> None:
    bench.put()
    bench.add(1, 5, A, B)
    records = len(bench.log)
    assert bench.add(1, 5, B) is ErrorCode.NONE
    assert len(bench.log) == records


REFUSALS = [
    ((2, 5), ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    ((1, 4), ErrorCode.PRODUCER_FENCED),
    ((1, 6), ErrorCode.PRODUCER_FENCED),
    ((2, 9), ErrorCode.INVALID_PRODUCER_ID_MAPPING),
]


@pytest.mark.parametrize(("producer", "error"), REFUSALS)
def test_others_may_not_add(bench: Any, producer: tuple[int, int], error: ErrorCode) -> None:
    stored = bench.put()
    assert bench.add(*producer) is error
    assert bench.now == stored


@pytest.mark.parametrize(("producer", "error"), REFUSALS)
def test_others_are_not_verified(bench: Any, producer: tuple[int, int], error: ErrorCode) -> None:
    bench.put(state=S.ONGOING, partitions=(A,))
    assert bench.verify(*producer).error is error


def test_an_unknown_id_has_no_mapping(bench: Any) -> None:
    assert bench.add(1, 5) is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert bench.verify(1, 5).error is ErrorCode.INVALID_PRODUCER_ID_MAPPING


@pytest.mark.parametrize("state", [S.PREPARE_COMMIT, S.PREPARE_ABORT])
def test_a_transaction_that_is_decided_takes_nothing(bench: Any, state: TransactionState) -> None:
    bench.put(state=state, partitions=(A,))
    assert bench.add(1, 5, A) is ErrorCode.CONCURRENT_TRANSACTIONS
    assert bench.add(9, 9, A) is ErrorCode.CONCURRENT_TRANSACTIONS, "the producer may be ahead, under its next id"
    assert bench.verify(1, 5, A).error is ErrorCode.CONCURRENT_TRANSACTIONS
    assert bench.verify(9, 9, A).error is ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_verified_are_the_partitions_of_the_transaction(bench: Any) -> None:
    bench.put(state=S.ONGOING, partitions=(A,))
    result = bench.verify(1, 5, A, B)
    assert (result.error_of(A), result.error_of(B)) == (ErrorCode.NONE, ErrorCode.TRANSACTION_ABORTABLE)


@pytest.mark.parametrize("state", [S.EMPTY, S.COMPLETE_COMMIT, S.COMPLETE_ABORT])
def test_nothing_is_verified_outside_a_transaction(bench: Any, state: TransactionState) -> None:
    bench.put(state=state)
    assert bench.verify(1, 5, A).error_of(A) is ErrorCode.TRANSACTION_ABORTABLE
