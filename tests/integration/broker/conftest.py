"""Brokers in processes of their own, as `mainstem broker` starts them; they end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess


@pytest.fixture
def broker_process(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    started: list[BrokerProcess] = []

    def make(*overrides: str) -> BrokerProcess:
        process = BrokerProcess(tmp_path / "data", *overrides)
        started.append(process)
        return process

    yield make
    for process in started:
        process.close()
