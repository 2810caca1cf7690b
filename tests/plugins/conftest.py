from __future__ import annotations

from collections.abc import Iterator

import pytest

from mainstem.api.context import PluginContext
from mainstem.testing.conformance.context import plugin_context


@pytest.fixture
def context() -> Iterator[PluginContext]:
    with plugin_context() as context:
        yield context
