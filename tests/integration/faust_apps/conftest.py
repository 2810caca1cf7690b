"""The same apps on every transport: `broker` is a URL that a Faust app takes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstem.app.embedded import Broker


@pytest.fixture(params=["memory", "embedded", "kafka"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    match request.param:
        case "memory":
            yield f"memory://{uuid.uuid4().hex}"
        case "embedded":
            yield f"mainstem://{tmp_path / 'broker'}"
        case _:
            with Broker() as running:
                yield f"mainstem+kafka://{running.bootstrap_servers}"
