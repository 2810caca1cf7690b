"""Transactions of Go (franz-go, sarama) and Node (KafkaJS): consume-transform-produce, every third time aborted."""

from collections.abc import Callable

import pytest
from peers.class_path import require_program
from peers.programs import BUILD_TIMEOUT_S, run
from peers.reading import read_all

pytestmark = pytest.mark.conformance

RUN_TIMEOUT_S = 90


@pytest.fixture
def moves_numbers(
    bootstrap: str,
    numbers: list[int],
    numbers_topic: str,
    new_topic: Callable[..., str],
    fresh_name: Callable[[], str],
) -> Callable[[list[str]], None]:
    """Runs a program of the kind `<command> <bootstrap> <input> <output> <group> <transactional id> <records>`."""

    def judge(command: list[str]) -> None:
        output, name = new_topic(2), fresh_name()
        arguments = [bootstrap, numbers_topic, output, f"{name}-group", name, f"{len(numbers)}"]
        assert run([*command, *arguments], timeout_s=RUN_TIMEOUT_S).split() == [f"{len(numbers)}"]
        wanted = sorted((f"{n}", f"{2 * n}") for n in numbers)
        assert sorted(read_all(bootstrap, output, 2, "read_committed")) == wanted
        assert len(read_all(bootstrap, output, 2, "read_uncommitted")) > len(wanted)

    return judge


@pytest.mark.parametrize("program", ["franz-transactions", "sarama-transactions"])
@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_a_go_client_moves_records_exactly_once(go_programs, moves_numbers, program):
    moves_numbers([str(go_programs / program)])


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_kafkajs_moves_records_exactly_once(node_programs, moves_numbers):
    moves_numbers([require_program("node", "Node"), str(node_programs / "kafkajs-transactions.js")])
