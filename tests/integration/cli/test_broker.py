"""`mainstem broker` as a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.node import free_ports

from mainstem.client.admin import Admin
from mainstem.client.connection import Connection

CODE = "import sys; from mainstem.cli.main import main; sys.exit(main())"
START_TIMEOUT_S = 60


@contextmanager
def running(*arguments: str, port: int, cwd: Path) -> Iterator[Admin]:
    """A broker that answers; afterwards it has ended cleanly by SIGTERM."""
    command = [sys.executable, "-c", CODE, "broker", *arguments]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as broker:
        try:
            with wait_until_it_answers(broker, port) as admin:
                yield admin
        finally:
            broker.send_signal(signal.SIGTERM)
            output, _ = broker.communicate(timeout=60)
        assert broker.returncode == 0, output.decode()


def wait_until_it_answers(broker: subprocess.Popen[bytes], port: int) -> Admin:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and broker.poll() is None:
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return Admin.connect(Connection(bootstrap_servers=f"127.0.0.1:{port}"))
        time.sleep(0.01)
    raise AssertionError(f"the broker does not answer: {broker.stdout.read() if broker.stdout else b''!r}")


def test_topics_survive_a_restart(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "server.properties").write_text(f"listeners=PLAINTEXT://127.0.0.1:{port}\nnum.partitions=3\n")
    with running("server.properties", port=port, cwd=tmp_path) as admin:
        admin.create_topic("kept", configs={"retention.ms": "9"})
        (before,) = admin.describe_topics(["kept"])
        assert len(before.partitions) == 3
    assert (tmp_path / "mainstem-data").is_dir()
    with running("server.properties", port=port, cwd=tmp_path) as admin:
        assert admin.describe_topics(["kept"]) == [before]
        own = [config for config in admin.configs("topic", "kept") if not config.is_default]
        assert [(config.name, config.value) for config in own] == [("retention.ms", "9")]


def test_an_override_goes_before_the_file(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "server.properties").write_text("listeners=PLAINTEXT://127.0.0.1:1\nnum.partitions=3\n")
    override = f"listeners=PLAINTEXT://127.0.0.1:{port}"
    with running("server.properties", "--override", override, port=port, cwd=tmp_path) as admin:
        admin.create_topic("t")
        assert len(admin.describe_topics(["t"])[0].partitions) == 3


def refused(tmp_path: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", CODE, "broker", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_bad_setting_ends_the_start_with_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    assert "log.retention.ms='soon' is not valid: a number of at least -1" in refused(
        tmp_path, "--override", "log.retention.ms=soon"
    )
    assert "'PLAINTEXT://localhost' has no port" in refused(tmp_path, "--override", "listeners=PLAINTEXT://localhost")


def test_a_file_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    assert "configuration file='absent.properties' is not valid" in refused(tmp_path, "absent.properties")


def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(tmp_path, "--override", f"listeners=PLAINTEXT://127.0.0.1:{taken.getsockname()[1]}")
    assert "cannot listen there" in said
