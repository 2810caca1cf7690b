"""`--reload`: new code goes on where the old one was; and Ctrl-C, which a terminal sends to every process of a run."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from confluent_kafka import Producer
from tests.integration.pipelines.test_run import consume

COUNTING = """
import sys
from mainstem import Count, Pipeline, run
from version import VERSION

def tell(count):
    print("counted", count["n"], "by version", VERSION, file=sys.stderr, flush=True)
    return count

run(Pipeline("counting").source("in", key="string", value="json").aggregate(n=Count()).map(tell).sink("out", value="json"))
"""
ADDRESS = r"find the broker at ([^;\s]+);"


def send_ten(address: str, topic: str = "in") -> None:
    producer = Producer({"bootstrap.servers": address})
    for number in range(10):
        producer.produce(topic, json.dumps(number), key="one")
    assert producer.flush(30) == 0


@pytest.mark.parametrize("how", ["python", "run"])
def test_new_code_goes_on_where_the_old_one_was(start, tmp_path, how):
    version = tmp_path / "version.py"
    version.write_text("VERSION = 1\n")
    script = start(COUNTING, "--reload", "--exactly-once", how=how)
    send_ten(script.wait_for(ADDRESS)[1])
    script.wait_for("counted 10 by version 1")

    version.write_text("VERSION = \n")
    script.wait_for(r"version\.py changed, starting again")
    script.wait_for(r"SyntaxError(.|\n)*ended with status 1, waiting for a change")

    version.write_text("VERSION = 2\n")
    send_ten(script.wait_for(f"waiting for a change(.|\\n)*{ADDRESS}")[2])
    script.wait_for("counted 20 by version 2")
    script.process.send_signal(signal.SIGTERM)
    status, _, errors = script.end()
    assert status == 0, errors
    assert re.findall(r"counted (\d+) by", errors) == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize("flags", [[], ["--workers", "2"]], ids=["one process", "two workers"])
def test_every_record_counts_once_across_reloads(start, bootstrap, new_topic, tmp_path, flags):
    """Records come all the time: every reload finds some that are read, some that are counted and not committed yet, and some
    that come while nobody reads."""
    source, sink = new_topic(2), new_topic()
    text = COUNTING.replace('"in"', repr(source)).replace('"out"', repr(sink)).replace('"counting"', repr(source))
    version = tmp_path / "version.py"
    version.write_text("VERSION = 0\n")
    script = start(text, "--reload", "--exactly-once", "--broker", f"kafka://{bootstrap}", *flags, how="run")
    sent = 0
    for number in range(1, 4):
        for _ in range(5):
            send_ten(bootstrap, source)
        sent += 50
        script.wait_for(f"by version {number - 1}")
        version.write_text(f"VERSION = {number}\n")
        script.wait_for(rf"(version\.py changed(.|\n)*){{{number}}}")
        for _ in range(5):
            send_ten(bootstrap, source)
        sent += 50
        script.wait_for(f"by version {number}")
    script.wait_for(f"counted {sent} by")
    script.process.send_signal(signal.SIGTERM)
    status, _, errors = script.end()
    assert status == 0, errors
    counts = [json.loads(value or b"null")["n"] for value in consume(bootstrap, sink, sent)]
    assert counts == list(range(1, sent + 1))


def test_a_plan_with_a_mistake_is_told_and_the_next_change_runs(start, bootstrap, new_topic, tmp_path):
    source, sink = new_topic(), new_topic()
    text = COUNTING.replace('"in"', repr(source)).replace('"out"', repr(sink)).replace('"counting"', repr(source))
    (tmp_path / "version.py").write_text("VERSION = 1\n")
    mistake = text.replace(f'.sink({sink!r}, value="json")', '.sink(connector="fils")')
    assert mistake != text
    script = start(mistake, "--reload", "--broker", f"kafka://{bootstrap}", how="run")
    script.wait_for(r"fils(.|\n)*ended with status 1, waiting for a change")
    (tmp_path / "script.py").write_text(text)
    send_ten(bootstrap, source)
    script.wait_for("counted 10 by version 1")
    script.process.send_signal(signal.SIGTERM)
    status, _, errors = script.end()
    assert status == 0, errors
    assert "Traceback" not in errors


def test_a_script_that_has_ended_is_started_again_when_it_changes(start, tmp_path):
    text = "import sys; print('this is version', 1, file=sys.stderr)\n"
    script = start("from mainstem import run\n" + text, "--reload", how="run")
    script.wait_for("ended with status 1, waiting for a change")  # it has no pipeline
    (tmp_path / "script.py").write_text(text.replace("1", "2"))
    script.wait_for("this is version 2")
    script.process.send_signal(signal.SIGTERM)
    script.end()


def test_a_folder_to_watch_that_does_not_exist_is_named(start):
    status, _, errors = start(COUNTING, "--reload", "--reload-dir", "models", how="run").end()
    assert status == 1
    assert "reload-dir='models' is not valid: there is no such folder" in errors


@pytest.mark.parametrize("flags", [["--workers", "2"], ["--reload"], ["--reload", "--workers", "2"]])
def test_a_terminals_interrupt_ends_every_process_cleanly(start, tmp_path, flags):
    """Each of them gets the signal from the terminal, and must not take what the first one passes on for a second Ctrl-C."""
    (tmp_path / "version.py").write_text("VERSION = 1\n")
    script = start(COUNTING, *flags, "--data", "data")
    address = script.wait_for(r"broker at ([^;\s]+);")[1]
    send_ten(address)
    script.wait_for("counted 10 by version 1")
    os.killpg(script.process.pid, signal.SIGINT)
    status, _, errors = script.end()
    assert status == 0, errors
    assert "Traceback" not in errors
