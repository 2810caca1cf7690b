"""The same apps on every transport: `broker` is a URL that a Faust app takes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstem.app.embedded import Broker

EVERYWHERE = "MAINSTEM_FAUST_EVERYWHERE"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is promised is tried on all of them; what an app has besides, over the socket too if the variable is set (a minute)."""
    if "broker" not in metafunc.fixturenames:
        return
    is_everywhere = EVERYWHERE in os.environ or metafunc.module.__name__.endswith("test_guarantees")
    carriers = ["memory", "embedded", "kafka"] if is_everywhere else ["memory", "embedded"]
    metafunc.parametrize("broker", carriers, indirect=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    match request.param:
        case "memory":
            yield f"memory://{uuid.uuid4().hex}"
        case "embedded":
            yield f"mainstem://{tmp_path / 'broker'}"
        case _:
            with Broker() as running:
                yield f"mainstem+kafka://{running.bootstrap_servers}"
