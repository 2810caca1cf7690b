"""Consumer and mixed groups under chaos: hundreds of seeds. A failing seed is in the test's name; it always fails the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MIXED = 0.4


@pytest.mark.parametrize("seed", range(150))
def test_no_seed_breaks_a_consumer_group(simulate: Callable[..., Any], seed: int) -> None:
    simulate(seed)


@pytest.mark.parametrize("seed", range(150))
def test_no_seed_breaks_a_mixed_group(simulate: Callable[..., Any], seed: int) -> None:
    simulate(seed, MIXED)


def test_the_simulation_does_what_it_is_for(simulate: Callable[..., Any]) -> None:
    """Chaos that hits nothing proves nothing."""
    observers = [simulate(seed, MIXED).observer for seed in range(10)]
    assert sum(o.taken for o in observers) > 300
    assert sum(o.commits_written for o in observers) > 50
    assert sum(o.lives for o in observers) > 20
    assert sum(o.groups_turned for o in observers) > 10
