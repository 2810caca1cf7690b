from __future__ import annotations

from collections.abc import Iterator

import pytest

from mainstem.api.context import PluginContext
from mainstem.testing.conformance.context import plugin_context


class StoppedClock:
    def now_ms(self) -> int:
        return 1_700_000_000_000

    def monotonic_ms(self) -> int:
        return 0


@pytest.fixture
def context() -> Iterator[PluginContext]:
    with plugin_context(StoppedClock()) as context:
        yield context
