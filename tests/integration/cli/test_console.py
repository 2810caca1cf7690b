"""The console tools on a broker, in this process and as processes of their own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from .conftest import Run

EVERYTHING = " ".join(f"--property print.{what}=true" for what in ("key", "headers", "partition", "offset"))


def consume(mainstem: Run, topic: str, options: str = "--from-beginning") -> tuple[list[str], str]:
    finished = mainstem(f"console-consumer --topic {topic} --partition 0 --timeout-ms 1000 {options}")
    assert finished.status == 0, finished
    return finished.out.splitlines(), finished.err


def test_lines_go_in_and_come_out(mainstem: Run) -> None:
    assert mainstem("console-producer --topic lines", "one\n\nünï\nno newline".encode()) == (0, "", "")
    lines, err = consume(mainstem, "lines")
    assert lines == ["one", "", "ünï", "no newline"]
    assert err == "Processed a total of 4 messages\n"


def test_keys_headers_and_nulls_go_in_and_come_out(mainstem: Run) -> None:
    properties = "--property parse.key=true --property parse.headers=true --property null.marker=NULL"
    stdin = b"h:1,g:2\tk1\tv1\nNULL\tk2\tNULL\nh:NULL\tNULL\tv3\n"
    assert mainstem(f"console-producer --topic full {properties}", stdin).status == 0
    lines, _ = consume(mainstem, "full", f"--from-beginning {EVERYTHING}")
    assert lines == [
        "Partition:0\tOffset:0\th:1,g:2\tk1\tv1",
        "Partition:0\tOffset:1\tNO_HEADERS\tk2\tnull",
        "Partition:0\tOffset:2\th:null\tnull\tv3",
    ]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_can_be_asked_for(mainstem: Run, codec: str) -> None:
    lines = [f"{codec} {number}" for number in range(100)]
    mainstem(f"console-producer --topic codec-{codec} --compression-codec {codec}", "\n".join(lines).encode())
    assert consume(mainstem, f"codec-{codec}", "--from-beginning --max-messages 100")[0] == lines


def test_records_can_be_sent_one_by_one(mainstem: Run) -> None:
    assert mainstem("console-producer --topic synced --sync --request-required-acks 1", b"a\nb\n").status == 0
    assert consume(mainstem, "synced")[0] == ["a", "b"]


def test_a_line_that_cannot_be_read_ends_the_producer_after_the_ones_before(mainstem: Run) -> None:
    finished = mainstem("console-producer --topic broken --property parse.key=true", b"k\tv\nnokey\nk\tw\n")
    assert finished.status == 1
    assert "No key separator found on line number 2: 'nokey'" in finished.err
    assert consume(mainstem, "broken")[0] == ["v"]


def test_a_record_that_is_refused_is_told(mainstem: Run) -> None:
    mainstem("topics --create --topic small --config max.message.bytes=100")
    finished = mainstem("console-producer --topic small --sync", b"x" * 500 + b"\nok\n")
    assert finished.status == 1
    assert "Error when sending message to topic small with key: null, value: 500 bytes" in finished.err
    assert consume(mainstem, "small")[0] == ["ok"]


def test_reading_starts_and_ends_where_it_is_told(mainstem: Run) -> None:
    mainstem("console-producer --topic ranged", b"".join(b"%d\n" % number for number in range(10)))
    assert consume(mainstem, "ranged", "--offset 3 --max-messages 2") == (
        ["3", "4"],
        "Processed a total of 2 messages\n",
    )
    assert consume(mainstem, "ranged", "--offset earliest --max-messages 1")[0] == ["0"]
    assert consume(mainstem, "ranged", "--offset latest")[0] == []
    assert consume(mainstem, "ranged", "--offset earliest --max-messages 0")[0] == []


def test_a_group_goes_on_where_it_was(mainstem: Run) -> None:
    mainstem("console-producer --topic grouped", b"a\nb\nc\n")
    read = "console-consumer --topic grouped --group readers --from-beginning --timeout-ms 5000"
    assert mainstem(f"{read} --max-messages 2").out == "a\nb\n"
    assert mainstem(f"{read} --max-messages 1").out == "c\n"


def test_a_consumer_without_a_group_makes_one_of_its_own(mainstem: Run) -> None:
    def groups() -> set[str]:
        return set(re.findall(r"^console-consumer-\d+$", mainstem("consumer-groups --list").out, re.MULTILINE))

    assert mainstem("console-producer --topic alone", b"x").status == 0
    before = groups()
    assert mainstem("console-consumer --topic alone --from-beginning --max-messages 1").out == "x\n"
    (made,) = groups() - before
    (described,) = json.loads(mainstem(f"consumer-groups --describe --group {made} --offsets --json").out)
    assert described["offsets"] == [], "nobody will ever ask for its offsets"


def test_topics_can_be_chosen_by_pattern(mainstem: Run) -> None:
    for name in ("pattern-1", "pattern-2"):
        mainstem(f"console-producer --topic {name}", name.encode())
    finished = mainstem("console-consumer --include 'pattern-.*' --from-beginning --max-messages 2 --timeout-ms 9000")
    assert sorted(finished.out.splitlines()) == ["pattern-1", "pattern-2"]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_pattern_that_is_none_is_named(mainstem: Run, protocol: str) -> None:
    finished = mainstem(f"console-consumer --include 'orders(' --consumer-property group.protocol={protocol}")
    assert (finished.status, finished.err.strip()) == (
        1,
        "Processed a total of 0 messages\n"
        "mainstem console-consumer: include='orders(' is not valid: a regular expression that matches whole names of topics",
    )


def test_numbers_are_printed_by_their_deserializer(mainstem: Run) -> None:
    mainstem("console-producer --topic numbers", b"\0\0\0\0\0\0\0\5\nshort\n")
    options = "--from-beginning --value-deserializer org.apache.kafka.common.serialization.LongDeserializer"
    lines, err = consume(mainstem, "numbers", f"{options} --skip-message-on-error")
    assert lines == ["5"]
    assert "skipping this message: 5 bytes are not a long, which has 8" in err
    stopped = mainstem(f"console-consumer --topic numbers --partition 0 {options}")
    assert (stopped.status, stopped.out) == (1, "5\n")


def test_a_formatter_that_prints_nothing_still_counts(mainstem: Run) -> None:
    mainstem("console-producer --topic silent", b"a\nb\n")
    assert consume(mainstem, "silent", "--from-beginning --formatter NoOpMessageFormatter") == (
        [],
        "Processed a total of 2 messages\n",
    )


def process(bootstrap: str, *arguments: str) -> subprocess.Popen[bytes]:
    code = "import sys; from mainstem.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, arguments[0], "--bootstrap-server", bootstrap, *arguments[1:]]
    # Whoever runs the tests in the background of a shell script has SIGINT ignored, and a child would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_the_consumer_with_its_count(
    mainstem: Run, bootstrap: str, number: signal.Signals, status: int
) -> None:
    topic = f"signalled-{number.name}"
    mainstem(f"console-producer --topic {topic}", b"a\nb\n")
    with process(bootstrap, "console-consumer", "--topic", topic, "--from-beginning") as consumer:
        assert consumer.stdout is not None
        assert [consumer.stdout.readline() for _ in range(2)] == [b"a\n", b"b\n"]
        consumer.send_signal(number)
        _, err = consumer.communicate(timeout=30)
    assert (consumer.returncode, err) == (status, b"Processed a total of 2 messages\n")


def test_a_reader_who_has_seen_enough_ends_the_consumer(mainstem: Run, bootstrap: str) -> None:
    mainstem("console-producer --topic piped", b"x" * 50 + b"\n")
    with process(bootstrap, "console-consumer", "--topic", "piped", "--from-beginning") as consumer:
        assert consumer.stdout is not None
        assert consumer.stderr is not None
        consumer.stdout.readline()
        consumer.stdout.close()
        mainstem("console-producer --topic piped", b"another\n")
        assert consumer.wait(timeout=30) == 1
        err = consumer.stderr.read()
    assert err.startswith(b"Unable to write to standard out, closing consumer.\n")
    assert b"Traceback" not in err


def test_json_tells_all_of_a_record(mainstem: Run) -> None:
    mainstem("console-producer --topic as-json --property parse.key=true --property parse.headers=true", b"h:1\tk\tv\n")
    finished = mainstem("console-consumer --topic as-json --from-beginning --max-messages 1 --json")
    document = json.loads(finished.out)
    assert document.pop("timestamp_ms") > 0
    assert document == {
        "topic": "as-json",
        "partition": 0,
        "offset": 0,
        "timestamp_type": "CreateTime",
        "headers": [["h", "1"]],
        "key": "k",
        "value": "v",
    }
    refused = mainstem("console-consumer --topic as-json --json --property print.key=true")
    assert (refused.status, "leave --property and --formatter away" in refused.err) == (1, True)


def test_internal_topics_are_printed_by_formatters_of_their_own(mainstem: Run) -> None:
    """Kafka's put nothing between the objects."""
    mainstem("console-producer --topic decoded", b"v\n")
    mainstem("console-consumer --topic decoded --group decoders --from-beginning --max-messages 1")
    read = "console-consumer --topic __consumer_offsets --from-beginning --timeout-ms 3000 --formatter"
    offsets = mainstem(f"{read} org.apache.kafka.tools.consumer.OffsetsMessageFormatter").out
    assert (
        '{"key":{"type":1,"data":{"group":"decoders","topic":"decoded","partition":0}},"value":{"version":' in offsets
    )
    assert '{"type":2,' not in offsets
    groups = mainstem(f"{read} GroupMetadataMessageFormatter").out
    assert '{"key":{"type":2,"data":{"group":"decoders"}},"value":{"version":' in groups
    assert '{"type":1,' not in groups


def test_the_end_is_told_to_whoever_asks_for_events(mainstem: Run) -> None:
    finished = mainstem("console-consumer --topic nothing-here --timeout-ms 100 --enable-systest-events")
    assert json.loads(finished.out)["name"] == "shutdown_complete"
