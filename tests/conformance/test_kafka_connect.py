"""Kafka Connect 4.1 standalone with its own file connectors: file to topic to file, and on after a restart."""

import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers.java_programs import java_command
from peers.node import free_ports

pytestmark = pytest.mark.conformance

DEADLINE_S = 90


@contextmanager
def connect(folder: Path, bootstrap: str, topic: str) -> Iterator[None]:
    """A worker with both connectors; ended by SIGTERM, as a user ends it, so that it commits its offsets."""
    (port,) = free_ports(1)
    properties = {
        "worker": {
            "bootstrap.servers": bootstrap,
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "offset.storage.file.filename": str(folder / "offsets"),
            "offset.flush.interval.ms": "1000",
            "listeners": f"http://127.0.0.1:{port}",
        },
        "source": {
            "name": "from-file",
            "connector.class": "FileStreamSource",
            "file": str(folder / "in.txt"),
            "topic": topic,
        },
        "sink": {
            "name": f"to-file-{topic}",
            "connector.class": "FileStreamSink",
            "file": str(folder / "out.txt"),
            "topics": topic,
        },
    }
    for name, lines in properties.items():
        (folder / f"{name}.properties").write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    command = java_command(
        "org.apache.kafka.connect.cli.ConnectStandalone", [str(folder / f"{name}.properties") for name in properties]
    )
    with (folder / "connect.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/connectors/from-file"), process, folder)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes] | None, folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        told = (folder / "connect.log").read_text(errors="replace")[-4000:]
        assert process is None or process.poll() is None, f"Connect ended with {process.returncode}\n{told}"
        assert time.monotonic() < deadline, told
        time.sleep(0.1)  # another process writes a file: there is nothing to wait on but the clock


@pytest.mark.timeout(400)
def test_lines_go_from_file_to_topic_to_file_and_on_after_a_restart(bootstrap: str, new_topic: Callable[..., str]):
    topic = new_topic(1)
    with tempfile.TemporaryDirectory(prefix="connect-") as name:
        folder = Path(name)
        source, sink = folder / "in.txt", folder / "out.txt"
        lines = [f"line {n}" for n in range(100)]
        source.write_text("".join(f"{line}\n" for line in lines[:60]))
        sink.touch()

        def written() -> list[str]:
            return sink.read_text().splitlines()

        with connect(folder, bootstrap, topic):
            wait_until(lambda: len(written()) >= 60, None, folder)
        with source.open("a") as more:
            more.writelines(f"{line}\n" for line in lines[60:])
        with connect(folder, bootstrap, topic):
            wait_until(lambda: len(written()) >= 100, None, folder)
        assert written() == lines
