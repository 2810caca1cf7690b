"""kafka-console-producer.sh, kafka-console-consumer.sh and the perf tests of Apache Kafka 4.1."""

import re

import pytest
from peers.tools import run_tool

pytestmark = pytest.mark.conformance


def consume(tools, topic: str, count: int, *arguments: str) -> list[str]:
    """The lines the console consumer prints for the first `count` records of a topic."""
    finished = tools.run(
        *["kafka-console-consumer", "--topic", topic, "--from-beginning", "--max-messages", str(count)],
        *["--timeout-ms", "60000", *arguments],
    ).succeeded()
    assert f"Processed a total of {count} messages" in finished.errors
    return finished.lines()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_lines_typed_into_the_producer_come_out_of_the_consumer(tools, new_topic, codec):
    topic = new_topic()
    lines = [f"{codec} line {n}" for n in range(200)]

    produced = tools.run(
        *["kafka-console-producer", "--topic", topic, "--compression-codec", codec],
        stdin="".join(f"{line}\n" for line in lines),
    ).succeeded()

    assert produced.errors == ""
    assert consume(tools, topic, 200) == lines


def test_keys_headers_and_null_values_are_shown_as_they_were_typed(tools, new_topic):
    topic = new_topic()
    properties = ["parse.key=true", "parse.headers=true", "null.marker=NULL", "key.separator=|"]
    tools.run(
        *["kafka-console-producer", "--topic", topic],
        *[part for each in properties for part in ("--property", each)],
        stdin="colour:red,size:9\tkey 1|value 1\ncolour:blue\tkey 2|NULL\nNULL\tkey 3|value 3\n",
    ).succeeded()

    shown = ["print.offset=true", "print.headers=true", "print.key=true"]
    printed = consume(tools, topic, 3, *[part for each in shown for part in ("--property", each)])

    assert printed == [
        "Offset:0\tcolour:red,size:9\tkey 1\tvalue 1",
        "Offset:1\tcolour:blue\tkey 2\tnull",
        "Offset:2\tNO_HEADERS\tkey 3\tvalue 3",
    ]


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_the_producer_gets_its_acknowledgements(tools, new_topic, acks):
    topic = new_topic()

    tools.run(
        *["kafka-console-producer", "--topic", topic, "--request-required-acks", acks, "--sync"],
        stdin="one\ntwo\nthree\n",
    ).succeeded()

    assert consume(tools, topic, 3) == ["one", "two", "three"]


def test_a_consumer_of_a_group_goes_on_where_the_last_one_stopped(tools, new_topic, fresh_name):
    topic, group = new_topic(), fresh_name()
    tools.run("kafka-console-producer", "--topic", topic, stdin="a\nb\nc\nd\n").succeeded()

    first = consume(tools, topic, 3, "--group", group)
    second = consume(tools, topic, 1, "--group", group)

    assert (first, second) == (["a", "b", "c"], ["d"])


def test_a_consumer_finds_a_partition_and_an_offset(tools, new_topic):
    topic = new_topic(2)
    tools.run("kafka-console-producer", "--topic", topic, stdin="".join(f"{n}\n" for n in range(50))).succeeded()
    offsets = tools.run("kafka-get-offsets", "--topic", topic).succeeded().lines()
    partition, end = next((line.split(":")[1], int(line.split(":")[2])) for line in offsets if line[-2:] != ":0")

    finished = tools.run(
        *["kafka-console-consumer", "--topic", topic, "--partition", partition, "--offset", str(end - 1)],
        *["--max-messages", "1", "--timeout-ms", "60000", "--property", "print.offset=true"],
    ).succeeded()

    assert finished.output.startswith(f"Offset:{end - 1}\t")


@pytest.mark.parametrize(
    "properties",
    [["acks=1"], ["acks=all"], ["acks=all", "compression.type=lz4", "linger.ms=5"]],
    ids=["acks=1", "acks=all", "compressed"],
)
def test_the_perf_tests_pass_all_their_records(tools, bootstrap, new_topic, properties):
    topic, records = new_topic(3), 20_000
    sent = run_tool(
        "kafka-producer-perf-test",
        [
            *["--topic", topic, "--num-records", str(records), "--record-size", "500", "--throughput", "-1"],
            *["--producer-props", f"bootstrap.servers={bootstrap}", *properties],
        ],
    ).succeeded()
    assert re.search(rf"^{records} records sent", sent.output, re.MULTILINE)

    received = tools.run("kafka-consumer-perf-test", "--topic", topic, "--messages", str(records)).succeeded()

    head, figures = received.lines()
    shown = dict(zip(head.split(", "), figures.split(", "), strict=True))
    assert int(shown["data.consumed.in.nMsg"]) == records
    assert float(shown["data.consumed.in.MB"]) == pytest.approx(records * 500 / 1_048_576, rel=0.01)
