"""Transactions that nobody will end, as Kafka's gauge counts them."""

from __future__ import annotations

import pytest

from mainstem.app.coordinator_metrics import has_late_transaction
from mainstem.core.log.producer_state import ProducerEntry


def producer(first_offset: int, last_timestamp: int) -> ProducerEntry:
    entry = ProducerEntry(0)
    entry.current_txn_first_offset, entry.last_timestamp = first_offset, last_timestamp
    return entry


@pytest.mark.parametrize(
    ("first_offset", "last_timestamp", "is_late"),
    [(0, 999, True), (0, 1000, False), (0, 5000, False), (-1, 0, False)],
)
def test_an_open_transaction_is_late_once_its_producer_is_silent(
    first_offset: int, last_timestamp: int, is_late: bool
) -> None:
    others = [producer(-1, 0), producer(7, 9000)]
    assert has_late_transaction([*others, producer(first_offset, last_timestamp)], 1000) is is_late


def test_no_producer_is_late() -> None:
    assert has_late_transaction([], 1000) is False
