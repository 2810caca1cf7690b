"""Kafka's own Java clients: consume-transform-produce in transactions, with aborts and a crash in the middle of one."""

from collections.abc import Callable

import pytest
from peers.java_programs import run_java
from peers.reading import read_all

pytestmark = pytest.mark.conformance

CRASHED = 42
RUN_TIMEOUT_S = 90


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.timeout(300)
def test_exactly_once_over_aborts_and_a_crash(
    bootstrap: str,
    numbers: list[int],
    numbers_topic: str,
    new_topic: Callable[..., str],
    fresh_name: Callable[[], str],
    protocol: str,
):
    output, name = new_topic(2), fresh_name()
    arguments = [bootstrap, numbers_topic, output, f"{name}-group", name, protocol]

    crashed = run_java("ConsumeTransformProduce", [*arguments, "5"], timeout_s=RUN_TIMEOUT_S)
    assert crashed.returncode == CRASHED, crashed.stderr
    finished = run_java("ConsumeTransformProduce", [*arguments, "0"], timeout_s=RUN_TIMEOUT_S)
    assert finished.returncode == 0, finished.stderr

    wanted = sorted((f"{n}", f"{2 * n}") for n in numbers)
    assert sorted(read_all(bootstrap, output, 2, "read_committed")) == wanted
    # The aborted records and those of the crash are there for whoever wants to see them.
    assert len(read_all(bootstrap, output, 2, "read_uncommitted")) > len(numbers)
