"""A group under chaos: hundreds of seeds. A failing seed is in the test's name; it always fails the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("seed", range(200))
def test_no_seed_breaks_the_rules(simulate: Callable[[int], Any], seed: int) -> None:
    simulate(seed)


def test_the_simulation_does_what_it_is_for(simulate: Callable[[int], Any]) -> None:
    """Chaos that hits nothing proves nothing."""
    observers = [simulate(seed).observer for seed in range(10)]
    assert sum(o.generations for o in observers) > 50
    assert sum(o.commits_acknowledged for o in observers) > 1_000
    assert sum(o.coordinator for o in observers) > 20
