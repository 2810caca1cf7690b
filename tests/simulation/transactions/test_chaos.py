"""Hundreds of seeds of chaos: transactions stay whole, isolated and durable whatever fails. MAINSTEM_SIMULATION_SEEDS widens it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

SEEDS = int(os.environ.get("MAINSTEM_SIMULATION_SEEDS", "60"))
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_transactions_are_whole_or_not_there(simulate: Callable[[int], Any], part: int) -> None:
    committed = aborted = restarts = 0
    for seed in range(part, SEEDS, PARTS):
        try:
            world = simulate(seed)
        except BaseException:
            print(f"seed {seed}")
            raise
        committed += world.judge.committed
        aborted += world.judge.aborted
        restarts += world.broker.coordinators - 1
    assert committed > SEEDS, "chaos in which nothing is committed proves nothing"
    assert aborted > SEEDS / 2
    assert restarts > SEEDS / 2


def test_the_same_seed_is_the_same_run(simulate: Callable[[int], Any]) -> None:
    first, again = simulate(7), simulate(7)
    assert [log.batches for log in first.broker.logs.values()] == [log.batches for log in again.broker.logs.values()]
