from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainstem.api.context import PluginContext
from mainstem.runtime.clock import SystemClock
from mainstem.telemetry.logs import get_logger
from mainstem.telemetry.sensors import Sensors


@pytest.fixture
def context() -> Iterator[PluginContext]:
    with ThreadPoolExecutor(4) as executor:
        yield PluginContext(clock=SystemClock(), log=get_logger("test"), executor=executor, sensor=Sensors())
