"""The search for a bug that was planted: a simulation earns its trust by finding it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest


def find_planted_bug(simulate: Callable[[int], Any], seeds: Sequence[int], what: str | None) -> None:
    """Run seed after seed until one of them notices. The test fails, with `what` was planted, if none does."""
    for seed in seeds:
        try:
            simulate(seed)
        except AssertionError as found:
            print(f"seed {seed}: {found}")
            return
    pytest.fail(f"{what} Nobody noticed in {len(seeds)} seeds.")
