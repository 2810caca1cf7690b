"""DescribeTransactions and ListTransactions."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.txn.commands import DescribeTransaction, ListTransactions
from mainstem.core.txn.records import STATE_BY_LABEL, TransactionState
from mainstem.model.errors import ErrorCode

S = TransactionState


def test_states_are_named_as_kafka_names_them() -> None:
    assert set(STATE_BY_LABEL) == {
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    }


def test_describe(bench: Any) -> None:
    stored = bench.put()
    assert bench.give(DescribeTransaction(transactional_id="tx")).transaction == stored
    assert bench.give(DescribeTransaction(transactional_id="?")).error is ErrorCode.TRANSACTIONAL_ID_NOT_FOUND


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["empty", "long", "short"]),
        ({"producer_ids": frozenset({2, 9})}, ["long"]),
        ({"states": frozenset({S.ONGOING})}, ["long", "short"]),
        ({"states": None}, []),
        ({"duration_ms": 0}, ["empty", "long", "short"]),
        ({"duration_ms": 100}, ["empty", "long"]),
        ({"duration_ms": 1_000}, ["empty"]),
        ({"pattern": "s.*|l..."}, ["long", "short"]),
        ({"pattern": "hort"}, []),
        ({"pattern": "l.*", "states": frozenset({S.EMPTY})}, []),
    ],
)
def test_list(bench: Any, filters: dict[str, Any], expected: list[str]) -> None:
    now_ms = bench.now_ms
    bench.put(transactional_id="empty", producer_id=1, started_at_ms=-1)
    bench.put(transactional_id="long", producer_id=2, state=S.ONGOING, started_at_ms=now_ms - 1_000)
    bench.put(transactional_id="short", producer_id=3, state=S.ONGOING, started_at_ms=now_ms - 100)
    result = bench.give(ListTransactions(**filters))
    assert sorted(found.transactional_id for found in result.transactions) == expected
