"""Whatever crashes when, what a guarantee says holds."""

from __future__ import annotations

import pytest
from tests.simulation.pipelines.conftest import PLANS

SEEDS = 60


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("exactly_once", [False, True], ids=["at-least-once", "exactly-once"])
def test_guarantees_hold_whenever_processes_die(simulate, kind, exactly_once):
    simulate(range(SEEDS), exactly_once=exactly_once, kind=kind)
