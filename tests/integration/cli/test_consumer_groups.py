"""`mainstem consumer-groups` on a broker. The expected texts are those of Apache Kafka 4.1's kafka-consumer-groups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from .conftest import Run


def read_all(mainstem: Run, topic: str, group: str, records: int) -> None:
    mainstem(f"topics --create --topic {topic} --partitions 2 --if-not-exists")
    keys = b"".join(b"%d\tv\n" % number for number in range(records))
    mainstem(f"console-producer --topic {topic} --property parse.key=true", keys)
    read = f"console-consumer --topic {topic} --group {group} --from-beginning --timeout-ms 9000"
    assert mainstem(f"{read} --max-messages {records}").status == 0


def offsets(mainstem: Run, group: str) -> dict[int, tuple[int, int]]:
    """Committed offset and end by partition."""
    (document,) = json.loads(mainstem(f"consumer-groups --describe --group {group} --json").out)
    return {each["partition"]: (each["current_offset"], each["log_end_offset"]) for each in document["offsets"]}


@pytest.fixture
def live_consumer(bootstrap: str, mainstem: Run) -> Iterator[Consumer]:
    """A member of the group `live`, with all of the topic `watched`."""
    mainstem("topics --create --topic watched --partitions 2 --if-not-exists")
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "live", "client.id": "watcher"})
    assigned: list[object] = []
    consumer.subscribe(["watched"], on_assign=lambda _, partitions: assigned.extend(partitions))
    while not assigned:
        consumer.poll(0.1)
    yield consumer
    consumer.close()


def test_groups_are_listed(mainstem: Run) -> None:
    read_all(mainstem, "listed", "listed-group", 1)
    assert "listed-group\n" in mainstem("consumer-groups --list").out
    header, *lines = mainstem("consumer-groups --list --state empty --type").out.splitlines()
    assert header.split() == ["GROUP", "TYPE", "STATE"]
    assert ["listed-group", "Classic", "Empty"] in [line.split() for line in lines]
    assert "listed-group" not in mainstem("consumer-groups --list --state stable").out
    assert {"group": "listed-group", "type": "Classic", "state": "Empty", "protocol": "consumer"} in json.loads(
        mainstem("consumer-groups --list --json").out
    )
    refused = mainstem("consumer-groups --list --state sleepy")
    assert refused.status == 1
    assert "Invalid state list 'sleepy'. Valid states are: " in refused.err


def test_a_group_without_members_shows_its_offsets(mainstem: Run) -> None:
    read_all(mainstem, "quiet", "quiet-group", 10)
    finished = mainstem("consumer-groups --describe --group quiet-group")
    assert finished.err == "\nConsumer group 'quiet-group' has no active members.\n"
    empty, header, *lines = finished.out.splitlines()
    assert (empty, header.split()[:6]) == (
        "",
        ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"],
    )
    cells = [line.split() for line in lines]
    assert [(line[0], line[1], line[2], line[5:]) for line in cells] == [
        ("quiet-group", "quiet", "0", ["0", "-", "-", "-"]),
        ("quiet-group", "quiet", "1", ["0", "-", "-", "-"]),
    ]
    assert sum(int(line[3]) for line in cells) == 10


def test_a_living_group_shows_its_members(mainstem: Run, live_consumer: Consumer, bootstrap: str) -> None:
    assert live_consumer.assignment()
    members = mainstem("consumer-groups --describe --group live --members --verbose").out.splitlines()
    line = members[2].split()
    assert line[0] == "live"
    assert line[1].startswith("watcher-")
    assert line[2:] == ["/127.0.0.1", "watcher", "2", "-", "watched:0,1", "-", "-"]
    state = mainstem("consumer-groups --describe --group live --state").out.splitlines()[2]
    assert state.split() == ["live", bootstrap, "(1)", "range", "Stable", "1"]
    lag = mainstem("consumer-groups --describe --group live").out.splitlines()[2].split()
    assert (lag[:3], lag[-2:]) == (["live", "watched", "0"], ["/127.0.0.1", "watcher"])
    (document,) = json.loads(mainstem("consumer-groups --describe --group live --members --json").out)
    assert document["members"][0]["client_id"] == "watcher"


def test_a_living_group_is_neither_reset_nor_deleted(mainstem: Run, live_consumer: Consumer) -> None:
    assert live_consumer.assignment()
    reset = mainstem("consumer-groups --reset-offsets --group live --topic watched --to-earliest --execute")
    assert reset.status == 0
    assert (
        "\nError: Assignments can only be reset if the group 'live' is inactive, but the current state is Stable.\n"
        in reset.out
    )
    deleted = mainstem("consumer-groups --delete --group live")
    assert (deleted.status, deleted.out) == (
        0,
        "\nError: Deletion of some consumer groups failed:\n"
        "* Group 'live' could not be deleted due to:"
        " org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty.\n",
    )


def test_offsets_are_reset(mainstem: Run, tmp_path: Path) -> None:
    read_all(mainstem, "moved", "mover", 20)
    before = offsets(mainstem, "mover")
    ends = {partition: end for partition, (_, end) in before.items()}
    reset = "consumer-groups --reset-offsets --group mover"
    dry = mainstem(f"{reset} --all-topics --to-earliest")
    assert "WARN: No action will be performed as the --execute option is missing." in dry.err
    assert offsets(mainstem, "mover") == before
    assert mainstem(f"{reset} --all-topics --to-earliest --execute").out == (
        "\nGROUP                          TOPIC                          PARTITION  NEW-OFFSET     \n"
        "mover                          moved                          0          0              \n"
        "mover                          moved                          1          0              \n"
    )
    assert offsets(mainstem, "mover") == {number: (0, end) for number, end in ends.items()}
    mainstem(f"{reset} --topic moved:1 --to-offset 2 --execute")
    mainstem(f"{reset} --topic moved --shift-by 1 --execute")
    assert offsets(mainstem, "mover") == {0: (1, ends[0]), 1: (3, ends[1])}
    exported = mainstem(f"{reset} --all-topics --to-current --export --dry-run").out
    assert exported == "moved,0,1\nmoved,1,3\n\n"
    late = mainstem(f"{reset} --topic moved:0 --to-offset 1000 --execute")
    assert "New offset (1000) is higher than latest offset for topic partition moved-0." in late.err
    mainstem(f"{reset} --topic moved --to-latest --execute")
    assert offsets(mainstem, "mover") == {number: (end, end) for number, end in ends.items()}
    plan = tmp_path / "plan.csv"
    plan.write_text(exported)
    mainstem(f"{reset} --from-file {plan} --execute")
    assert offsets(mainstem, "mover") == {0: (1, ends[0]), 1: (3, ends[1])}


def test_offsets_are_reset_by_time(mainstem: Run) -> None:
    read_all(mainstem, "timed", "timer", 4)
    ends = {partition: end for partition, (_, end) in offsets(mainstem, "timer").items()}
    reset = "consumer-groups --reset-offsets --group timer --topic timed --execute"
    mainstem(f"{reset} --to-datetime 2020-01-01T00:00:00.000")
    assert {current for current, _ in offsets(mainstem, "timer").values()} == {0}
    future = mainstem(f"{reset} --to-datetime 2999-01-01T00:00:00.000")
    assert "Warn: Partition 0 from topic timed is empty. Falling back to latest known offset." in future.out
    assert {number: current for number, (current, _) in offsets(mainstem, "timer").items()} == ends
    mainstem(f"{reset} --by-duration P1D")
    assert {current for current, _ in offsets(mainstem, "timer").values()} == {0}


def test_a_group_that_never_was_can_be_given_offsets(mainstem: Run) -> None:
    read_all(mainstem, "prepared", "somebody", 2)
    mainstem("consumer-groups --reset-offsets --group newcomer --topic prepared --to-latest --execute")
    assert sum(current for current, _ in offsets(mainstem, "newcomer").values()) == 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--topic there:x --to-earliest", "Invalid partition 'x' specified in topic arg 'there:x'"),
        ("--topic there --shift-by 1", "since there is no current committed offset"),
    ],
)
def test_resets_that_make_no_sense_are_refused_as_usage(mainstem: Run, options: str, problem: str) -> None:
    mainstem("topics --create --topic there --if-not-exists")
    finished = mainstem(f"consumer-groups --reset-offsets --group unknown --dry-run {options}")
    assert (finished.status, finished.out) == (1, "")
    assert problem in finished.err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--topic nowhere --to-earliest", "This server does not host this topic-partition."),
        ("--topic there:9 --to-earliest", "This server does not host this topic-partition."),
        ("--topic there --to-datetime soon", "'soon' is not a time"),
        ("--topic there --by-duration 1h", "'1h' is not a duration"),
        ("--from-file /nowhere.csv", "/nowhere.csv: No such file or directory"),
    ],
)
def test_resets_that_cannot_be_planned_say_why(mainstem: Run, options: str, problem: str) -> None:
    mainstem("topics --create --topic there --if-not-exists")
    finished = mainstem(f"consumer-groups --reset-offsets --group unknown --dry-run {options}")
    assert finished.out.startswith("\nError: Executing consumer group command failed due to ")
    assert problem in finished.out
    assert finished.status == 0
    assert mainstem(f"consumer-groups --reset-offsets --group unknown --dry-run --json {options}").status == 1


def test_groups_are_deleted(mainstem: Run) -> None:
    read_all(mainstem, "doomed", "doomed-group", 1)
    assert mainstem("consumer-groups --delete --group doomed-group") == (
        0,
        "Deletion of requested consumer groups ('doomed-group') was successful.\n",
        "",
    )
    assert "doomed-group" not in mainstem("consumer-groups --list").out
    missing = mainstem("consumer-groups --describe --group doomed-group")
    assert (missing.status, missing.out) == (
        0,
        "\nError: Executing consumer group command failed due to"
        " org.apache.kafka.common.errors.GroupIdNotFoundException: Group doomed-group not found.\n",
    )
    assert mainstem("consumer-groups --describe --group doomed-group --json").status == 1


def test_patterns_for_topics_are_checked_without_a_broker(mainstem: Run) -> None:
    assert mainstem("consumer-groups --validate-regex a+b").out == "The regular expression `a+b` is valid.\n"
    # The engine is the one of a broker, not Python's: classes of Unicode, but no look-ahead, back references and long repetitions.
    assert (
        mainstem(r"consumer-groups --validate-regex '\p{Greek}+'").out
        == "The regular expression `\\p{Greek}+` is valid.\n"
    )
    refused = {
        "a(b": "missing closing )",
        "a(?=b)": "invalid or unsupported Perl syntax",
        r"(a)\1": "invalid escape sequence",
        "(?P=x)": "invalid or unsupported Perl syntax",
        "a{1,2000}": "invalid repeat count",
    }
    for pattern, problem in refused.items():
        answer = mainstem(f"consumer-groups --validate-regex '{pattern}'")
        assert (answer.status, answer.out) == (0, f"The regular expression `{pattern}` is invalid: {problem}.\n")
