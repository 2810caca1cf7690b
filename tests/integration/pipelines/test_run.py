"""`run(pipeline)` as a script's last line: by python and by `mainstem run`, on the embedded broker and on a cluster."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

COUNT = """
from mainstem import Pipeline, run

numbers = (
    Pipeline("numbers")
    .source(connector="files", path="numbers.jsonl")
    .map(lambda number: {"number": number, "square": number * number})
    .sink("squares", value="json")
)
big = (
    Pipeline("big")
    .source("squares", value="json")
    .filter(lambda value: value["number"] >= 8)
    .sink(connector="files", path="big.jsonl")
)
"""
# Its last record keeps it busy until it is stopped: it is endless.
ENDLESS = """
import sys
from mainstem import Pipeline, run

def tell(value):
    print("saw", value.decode(), file=sys.stderr, flush=True)
    return value

run(Pipeline("endless").source("in").map(tell).sink("out"), data="data")
"""


@pytest.fixture
def numbers(tmp_path: Path) -> list[int]:
    (tmp_path / "numbers.jsonl").write_text("".join(f"{number}\n" for number in range(10)))
    return list(range(10))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("how", ["python", "run"])
def test_a_script_runs_both_ways_with_the_same_flags(start, tmp_path, numbers, how):
    status, _, errors = start(COUNT + "run(numbers, big)\n", "--once", "--data", "here", how=how).end()
    assert status == 0, errors
    assert lines(tmp_path / "big.jsonl") == [{"number": 8, "square": 64}, {"number": 9, "square": 81}]
    assert (tmp_path / "here").is_dir()
    assert not (tmp_path / "mainstem-data").exists()
    assert "finished" in errors


def test_mainstem_run_finds_the_pipelines_of_a_script_that_only_defines_them(start, tmp_path, numbers):
    status, _, errors = start(COUNT, "--once", how="run").end()
    assert status == 0, errors
    assert len(lines(tmp_path / "big.jsonl")) == 2


def test_flags_go_before_arguments(start, tmp_path, numbers):
    text = COUNT + "run(numbers, big, once=True, data='from-script')\n"
    status, _, errors = start(text, "--data", "from-flag").end()
    assert status == 0, errors
    assert (tmp_path / "from-flag").is_dir()
    assert not (tmp_path / "from-script").exists()


def test_run_returns_what_was_done(start, numbers):
    text = COUNT + "print(run(numbers, big, once=True)[1].written)\n"
    status, output, errors = start(text).end()
    assert status == 0, errors
    assert output == "{'sink': 2}\n"


def test_a_second_run_continues_where_the_first_ended(start, tmp_path, numbers):
    text = COUNT + "run(numbers, big, once=True)\n"
    assert start(text).end()[0] == 0
    with (tmp_path / "numbers.jsonl").open("a") as file:
        file.write("10\n")
    status, _, errors = start(text).end()
    assert status == 0, errors
    assert [value["number"] for value in lines(tmp_path / "big.jsonl")] == [8, 9, 10]


@pytest.mark.parametrize(
    ("text", "flags", "problem"),
    [
        (
            COUNT + "run(numbers)\n",
            ["--onec"],
            "arguments='--onec' is not valid: there is no such flag; did you mean --once?",
        ),
        (COUNT + "run(numbers)\n", ["--metrics-port", "x"], "argument --metrics-port: invalid int value: 'x'"),
        (
            COUNT + "run(numbers)\n",
            ["--metrics-port", "99999"],
            "metrics-port=99999 is not valid: a port is a number from 0",
        ),
        (COUNT + "run(numbers)\n", ["--broker", "localhost:9092"], "it looks like embedded://, kafka://host:port or"),
        (
            COUNT + "run(numbers)\n",
            ["--broker", "kafak://x"],
            "transport 'kafak': nobody registered it; did you mean kafka?",
        ),
        (
            COUNT + "run(numbers)\n",
            ["--broker", "embedded://?compresion=zstd"],
            "transport embedded has no such setting; did you mean compression?",
        ),
        (COUNT + "run(numbers, Pipeline(numbers.name).source('x').sink('y'))\n", [], "2 steps are called source"),
        (
            COUNT + "run(big, once=True)\n",
            [],
            "topic squares does not exist; create it, or start what writes to it first",
        ),
        (COUNT + "run(numbers.map(len), once=True)\n", [], "nothing takes what map-2 makes; add a .sink(...) after it"),
        (
            COUNT
            + "run(numbers, Pipeline('back').source('x').sink('y'), Pipeline('forth').source('y').sink('x'), once=True)\n",
            [],
            "pipelines back, forth feed each other in a circle",
        ),
    ],
)
def test_mistakes_end_with_a_sentence_and_status_1(start, numbers, text, flags, problem):
    status, _, errors = start(text, *flags).end()
    assert status == 1
    assert problem in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing.py"], "script='missing.py' is not valid: there is no such file"),
        (["script.py"], "it neither calls run(pipeline) nor holds a Pipeline"),
        (["script.py", "--nope"], "there is no such flag"),
        (["--once", "script.py"], "the script comes first: mainstem run script.py --once script.py"),
    ],
)
def test_mainstem_run_says_what_is_wrong_with_its_command_line(tmp_path, arguments, problem, capsys, monkeypatch):
    from mainstem.cli.main import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text("x = 1\n")
    assert main(["run", *arguments]) == 1
    assert problem in capsys.readouterr().err


def test_an_error_in_a_record_names_stage_split_and_offset_and_acknowledges_nothing(start, tmp_path):
    (tmp_path / "numbers.jsonl").write_text('1\n2\n"three"\n')
    status, _, errors = start(COUNT + "run(numbers, data='data')\n").end()
    assert status == 1
    assert "pipeline numbers, stage map at split numbers.jsonl, offset 3: TypeError" in errors
    (tmp_path / "numbers.jsonl").write_text("1\n2\n3\n")
    status, _, errors = start(COUNT + "run(numbers, data='data')\n").end()
    assert status == 0
    assert "3 to sink" in errors


def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def consume(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = [message.value() for message in consumer.consume(count, 30)]
    consumer.close()
    return values


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_endless_pipeline_cleanly(start, bootstrap, new_topic, number):
    source, sink = new_topic(), new_topic()
    text = ENDLESS.replace('"in"', repr(source)).replace('"out"', repr(sink)).replace('"endless"', repr(source))
    produce(bootstrap, source, b"1", b"2")
    script = start(text, "--broker", f"kafka://{bootstrap}")
    script.wait_for("saw 2")
    script.process.send_signal(number)
    status, _, errors = script.end()
    assert status == 0, errors
    assert "stopped" in errors
    assert "Traceback" not in errors
    produce(bootstrap, source, b"3")
    status, _, errors = start(text, "--once", "--broker", f"kafka://{bootstrap}").end()
    assert status == 0, errors
    assert "saw 3" in errors
    assert "saw 2" not in errors, "what was acknowledged was read again"
    assert consume(bootstrap, sink, 3) == [b"1", b"2", b"3"]


def test_the_same_script_runs_on_a_cluster(start, tmp_path, numbers, bootstrap, fresh_name):
    text = (
        COUNT.replace("squares", fresh_name())
        .replace('"numbers")', f'"{fresh_name()}")')
        .replace('"big")', f'"{fresh_name()}")')
    )
    status, _, errors = start(text + "run(numbers, big, once=True)\n", "--broker", f"kafka://{bootstrap}").end()
    assert status == 0, errors
    assert [value["number"] for value in lines(tmp_path / "big.jsonl")] == [8, 9]
    assert not (tmp_path / "mainstem-data").exists(), "no broker was started here"
    status, _, errors = start(text + "run(numbers, big, once=True)\n", "--broker", f"kafka://{bootstrap}").end()
    assert status == 0, errors
    assert [value["number"] for value in lines(tmp_path / "big.jsonl")] == [8, 9], "positions were not kept"


METRICS = """
import sys, urllib.request
from mainstem import Pipeline, Tumbling, Count, run
from mainstem.pipeline.memory import memory_source, null_sink
from mainstem import Batch

def scrape(batch):
    if batch.values[0] == 5000:
        body = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % PORT).read().decode()
        open("metrics.txt", "w").write(body)
    return batch

import asyncio
async def scrape_later(batch):
    return await asyncio.to_thread(scrape, batch)

PORT = int(sys.argv[sys.argv.index("--metrics-port") + 1])
source = memory_source(Batch(keys=[None] * 6000, values=list(range(6000)), timestamps=list(range(6000))))
run(
    Pipeline("measured").source(connector=source).map_batches(scrape_later)
    .key_by(lambda value: 0).window(Tumbling(1000)).aggregate(n=Count()).sink(connector=null_sink())
)
"""


def test_metrics_are_served_while_it_runs(start, tmp_path, unused_port):
    from prometheus_client.parser import text_string_to_metric_families

    status, _, errors = start(METRICS, "--metrics-port", str(unused_port)).end()
    assert status == 0, errors
    families = list(text_string_to_metric_families((tmp_path / "metrics.txt").read_text()))
    samples = {
        (sample.name, sample.labels.get("stage"), sample.labels.get("split")): sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("pipeline") == "measured"
    }
    assert samples["mainstem_pipeline_records_in_total", "map_batches", "memory"] == 5000
    assert samples["mainstem_pipeline_records_out_total", "source", "memory"] == 6000
    assert samples["mainstem_pipeline_watermark_seconds", "", ""] == 4.999
    assert any(family.name == "kafka_brokers" for family in families), "the embedded broker's are there too"


def test_kafka_clients_use_the_embedded_broker_of_a_running_script(start):
    """Its topics come into being when a client writes to them; the pipeline waits for its own."""
    script = start(ENDLESS)
    address = script.wait_for(r"Kafka clients find the broker at (\S+); its data is in data")[1]
    script.wait_for("pipeline.waits_for_topic")
    produce(address, "in", b"1", b"2")
    script.wait_for("saw 2")
    assert consume(address, "out", 2) == [b"1", b"2"]
    script.process.send_signal(signal.SIGTERM)
    assert script.end()[0] == 0


def test_what_was_acknowledged_survives_a_kill_and_nothing_is_lost(start, tmp_path):
    """Killed while it works, started again: every record is in the sink, and committed offsets were right."""
    numbers = range(20_000)
    (tmp_path / "numbers.jsonl").write_text("".join(f"{number}\n" for number in numbers))
    text = """
import sys, time
from mainstem import Pipeline, run

def slowly(batch):
    print("batch", file=sys.stderr, flush=True)
    time.sleep(0.3)
    return batch

load = Pipeline("load").source(connector="files", path="numbers.jsonl").map_batches(slowly).sink("numbers", value="json")
copy = (
    Pipeline("copy").source("numbers", value="json").map(lambda n: {"n": n})
    .sink(connector="sql", database="x.db", table="t", key=["n"])
)
run(load, copy, data="data", once="--once" in sys.argv)
"""
    script = start(text)
    script.wait_for("batch\n(?s:.*)batch\n(?s:.*)batch")
    script.process.kill()
    script.end()
    status, _, errors = start(text, "--once").end()
    assert status == 0, errors
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        assert [n for (n,) in connection.execute("SELECT n FROM t ORDER BY n")] == list(numbers)


def test_two_runs_on_one_machine_do_not_meet(start, tmp_path, numbers):
    """The second finds port 9092 taken, or the first did: each takes what is free."""
    first = start(COUNT + "run(numbers, data='one')\n", name="one.py")
    second = start(COUNT + "run(numbers, data='two')\n", name="two.py")
    for script in (first, second):
        status, _, errors = script.end()
        assert status == 0, errors


def test_run_inside_of_a_program_leaves_its_command_line_alone(tmp_path, numbers, monkeypatch):
    """Not a script: the flags of the test run are not ours."""
    import sys

    from mainstem import Pipeline, run
    from mainstem.pipeline.memory import null_sink

    monkeypatch.setattr(sys, "argv", ["pytest", "--nonsense"])
    monkeypatch.chdir(tmp_path)
    plan = Pipeline("numbers").source(connector="files", path="numbers.jsonl").sink(connector=null_sink())
    [summary] = run(plan, data=tmp_path / "data")
    assert summary.records_read == 10


def test_metrics_of_a_port_that_is_taken_is_an_error(start, numbers):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, _, errors = start(COUNT + "run(numbers)\n", "--metrics-port", str(taken.getsockname()[1])).end()
    assert status == 1
    assert "cannot listen on 127.0.0.1" in errors
