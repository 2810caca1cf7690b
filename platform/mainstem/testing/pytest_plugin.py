"""Fixtures for people who test programs that use Kafka. Installed with mainstem, loaded by pytest by itself.

def test_orders(mainstem_broker):
    producer = Producer({"bootstrap.servers": mainstem_broker.bootstrap_servers})
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every pytest run of every project loads this file, so the broker is imported on use only
    from mainstem.app.embedded import Broker


@pytest.fixture
def mainstem_broker() -> Iterator[Broker]:
    """A running broker with records in memory, new for each test. `.bootstrap_servers` is `127.0.0.1:<free port>`."""
    from mainstem.app.embedded import Broker

    with Broker(storage="memory") as broker:
        yield broker


@pytest.fixture(scope="session")
def mainstem_broker_session() -> Iterator[Broker]:
    """One broker for the whole test session; tests keep apart by their topic names."""
    from mainstem.app.embedded import Broker

    with Broker(storage="memory") as broker:
        yield broker
