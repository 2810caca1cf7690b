"""What we say we serve against what Apache Kafka 4.1 says: equal, or explained by name in SKIPPED.md."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from peers.api_versions import ServedVersions, VersionRange, ask_served_versions, exchange
from peers.tools import KafkaTools

pytestmark = pytest.mark.conformance

SKIPPED = Path(__file__).resolve().parents[2] / "SKIPPED.md"
UNSUPPORTED_VERSION = 35
INVALID_REQUEST = 42


@pytest.fixture(scope="module")
def ours(bootstrap: str) -> ServedVersions:
    return ask_served_versions(bootstrap)


@pytest.fixture(scope="module")
def theirs(kafka_node) -> ServedVersions:
    return ask_served_versions(kafka_node.bootstrap)


@pytest.fixture(scope="module")
def api_names(kafka_node) -> dict[int, str]:
    """Kafka's name of each API it serves, from its own tool."""
    printed = KafkaTools(kafka_node.bootstrap).run("kafka-broker-api-versions").succeeded().output
    return {int(key): name for name, key in re.findall(r"^\s+(\w+)\((\d+)\): ", printed, re.MULTILINE)}


@pytest.fixture(scope="module")
def is_skipped() -> Callable[[str], bool]:
    """Whether SKIPPED.md has an entry, a line of a list or a table, that names something."""
    entries = [line for line in SKIPPED.read_text().splitlines() if re.match(r"\s*[-*|]", line)]
    return lambda name: any(re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.]*\w)", entry) for entry in entries)


def test_both_brokers_answer_without_an_error(ours, theirs):
    assert (ours.error_code, theirs.error_code) == (0, 0)
    assert ours.zookeeper_migration_ready == theirs.zookeeper_migration_ready


def test_every_api_we_serve_has_exactly_the_range_of_kafka(ours, theirs, api_names):
    different = {
        f"{api_names.get(key, '?')}({key})": f"ours {served}, Kafka {theirs.apis.get(key)}"
        for key, served in ours.apis.items()
        if served != theirs.apis.get(key)
    }

    assert different == {}


def test_every_api_we_lack_is_named_in_the_list_of_what_we_skip(ours, theirs, api_names, is_skipped):
    lacking = [api_names[key] for key in sorted(set(theirs.apis) - set(ours.apis))]

    assert [name for name in lacking if not is_skipped(name)] == []


@pytest.mark.parametrize("kind", ["supported_features", "finalized_features"])
def test_features_are_those_of_kafka_or_explained(ours, theirs, is_skipped, kind):
    mine: dict[str, VersionRange] = getattr(ours, kind)
    kafkas: dict[str, VersionRange] = getattr(theirs, kind)
    names = sorted({*mine, *kafkas})

    different = [name for name in names if mine.get(name) != kafkas.get(name)]

    assert [name for name in different if not is_skipped(name)] == []
    assert set(mine) <= set(kafkas), "a feature Apache Kafka 4.1 has never heard of"


def test_the_tool_of_kafka_reads_our_versions(tools, node):
    printed = tools.run("kafka-broker-api-versions").succeeded().output

    assert printed.startswith(f"{node.bootstrap} (id: ")
    assert re.search(r"Produce\(0\): 0 to 13 \[usable: 13\]", printed)
    assert re.search(r"Fetch\(1\): 4 to 18 \[usable: 18\]", printed)


def test_a_version_nobody_knows_is_answered_in_version_0_with_what_is_served(bootstrap, ours):
    """KIP-511: the client of the future learns what it may use, in a form any client can read."""
    answer = exchange(bootstrap, b"\x00\x12\x00\x63\x00\x00\x00\x07\xff\xff\x00" + b"\x00" * 3, timeout_s=10)

    correlation_id, error, count = answer[:4], answer[4:6], int.from_bytes(answer[6:10], "big")
    assert correlation_id == b"\x00\x00\x00\x07"
    assert int.from_bytes(error, "big") == UNSUPPORTED_VERSION
    entries = [answer[10 + 6 * n : 16 + 6 * n] for n in range(count)]
    ranges = {
        int.from_bytes(entry[:2], "big"): VersionRange(
            int.from_bytes(entry[2:4], "big"), int.from_bytes(entry[4:6], "big")
        )
        for entry in entries
    }
    assert ranges == {18: ours.apis[18]}
    assert len(answer) == 10 + 6 * count


@pytest.mark.parametrize("name", [b"", b"-leading", b"white space", "ü".encode()])
def test_a_client_with_a_name_kafka_does_not_allow_is_told_so(bootstrap, kafka_node, name):
    software = bytes([len(name) + 1]) + name + b"\x021"
    request = b"\x00\x12\x00\x03\x00\x00\x00\x07\xff\xff\x00" + software + b"\x00"

    answers = [exchange(each, request, timeout_s=10) for each in (bootstrap, kafka_node.bootstrap)]

    assert [int.from_bytes(answer[4:6], "big") for answer in answers] == [INVALID_REQUEST, INVALID_REQUEST]
