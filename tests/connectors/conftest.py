from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainstem.api.context import PluginContext
from mainstem.telemetry.logs import get_logger
from mainstem.telemetry.sensors import Sensors


class StoppedClock:
    def now_ms(self) -> int:
        return 1_700_000_000_000

    def monotonic_ms(self) -> int:
        return 0


@pytest.fixture
def context() -> Iterator[PluginContext]:
    with ThreadPoolExecutor(2) as executor:
        yield PluginContext(clock=StoppedClock(), log=get_logger("test"), executor=executor, sensor=Sensors())
