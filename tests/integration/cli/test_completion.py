"""Completion, as a shell asks for it and in a real bash."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from mainstem.cli.complete import FILES, candidates, split
from mainstem.cli.main import COMMANDS, main

from .conftest import Run

TIMEOUT_S = 30
CLEAR_LINE = "\x15"
COLUMNS = 500
"""Wide enough that no line is scrolled."""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mainstem top", ["topics"]),
        ("mainstem nosuch", []),
        ("mainstem nosuch --x", []),
        ("mainstem topics --desc", ["--describe"]),
        ("mainstem topics --describe --desc", []),
        ("mainstem topics --nosuch", []),
        ("kafka-topics.sh --desc", ["--describe"]),
        ("/opt/kafka/bin/kafka-topics.sh --desc", ["--describe"]),
        ("mainstem kafka-topics.sh --desc", ["--describe"]),
        ("kafka-server-start.sh --over", ["--override"]),
        ("kafka-server-start.sh ", [FILES]),
        ("mainstem get-offsets --time ear", ["earliest", "earliest-local"]),
        ("mainstem get-offsets --time=ear", ["--time=earliest", "--time=earliest-local"]),
        ("mainstem get-offsets --partitions ", []),
        ("mainstem configs --entity-type br", ["brokers", "broker-loggers"]),
        ("mainstem console-producer --compression-codec z", ["zstd"]),
        ("mainstem console-consumer --isolation-level read_c", ["read_committed"]),
        ("mainstem cluster ", ["cluster-id", "list-endpoints"]),
        ("mainstem cluster cluster-id --inc", ["--include-fenced-brokers"]),
        ("mainstem features up", ["upgrade"]),
        ("mainstem topics --command-config ", [FILES]),
        ("mainstem topics --command-config=", [FILES]),
        ("mainstem run ", [FILES]),
        ("mainstem install-scripts ", [FILES]),
        ("mainstem completion b", ["bash"]),
        ("mainstem topics --topic 'half", []),
    ],
)
def test_what_can_come_next(line: str, expected: list[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{probe.getsockname()[1]}"
    program, _, rest = line.partition(" ")
    if rest.startswith("topics --topic"):
        rest = rest.replace("topics", f"topics --bootstrap-server {nobody}", 1)
    assert candidates(split(f"{program} {rest}")) == expected


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("run", "demo")])
def test_every_command_tells_its_flags(name: str) -> None:
    assert "--help" in candidates(["mainstem", name, "--h"])


def test_names_come_from_the_broker(bootstrap: str, mainstem: Run) -> None:
    mainstem("topics --create --topic named-one")
    mainstem("topics --create --topic named-two")
    server = f"--bootstrap-server {bootstrap}"
    mainstem("console-producer --topic named-one", b"x\n")
    mainstem("console-consumer --topic named-one --group named-group --from-beginning --max-messages 1")
    assert candidates(split(f"mainstem topics {server} --topic named-")) == ["named-one", "named-two"]
    assert candidates(split(f"mainstem topics {server} --topic=named-t")) == ["--topic=named-two"]
    listed = candidates(split(f"mainstem log-dirs {server} --topic-list named-one,named-t"))
    assert listed == ["named-one,named-two"]
    assert candidates(split(f"mainstem consumer-groups --bootstrap-server={bootstrap} --group named-")) == [
        "named-group"
    ]


def test_a_broker_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        assert candidates(split(f"mainstem topics --bootstrap-server {server} --topic ")) == []
    assert candidates(split("mainstem topics --bootstrap-server nonsense --topic ")) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"mainstem complete {shell}" in script
    assert "kafka-topics.sh" in script
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


class Bash:
    """An interactive bash on a terminal of its own, with our completion loaded."""

    def __init__(self, folder: Path) -> None:
        program = folder / "mainstem"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mainstem.cli.main "$@"\n')
        program.chmod(0o755)
        script = folder / "completion"
        done = subprocess.run([program, "completion", "bash"], capture_output=True, text=True, check=True)
        script.write_text(f"bind 'set bell-style none'\nbind 'set enable-bracketed-paste off'\nPS1='> '\n{done.stdout}")
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb", "INPUTRC": "/dev/null"}
        self._process, self._terminal = _forked(["bash", "--noprofile", "--rcfile", str(script), "-i"], environment)
        self._seen = ""
        self.read_until("> ")

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def read_until(self, text: str) -> str:
        """Everything up to and with `text`, which must come."""
        ends = time.monotonic() + TIMEOUT_S
        while text not in self._seen:
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, ends - time.monotonic()))
            assert ready, f"{text!r} did not come; on the terminal stands {self._seen!r}"
            self._seen += os.read(self._terminal, 4096).decode()
        found, _, self._seen = self._seen.partition(text)
        return found + text

    def close(self) -> None:
        os.close(self._terminal)
        self._process.kill()
        self._process.wait()


def _forked(command: list[str], environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True, close_fds=True
    )
    os.close(theirs)
    return process, ours


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_a_real_bash_completes(bootstrap: str, mainstem: Run, tmp_path: Path) -> None:
    """Commands, flags, values, names with the address and its colon in the line, after `=`, and by a script's name."""
    mainstem("topics --create --topic completed")
    shell = Bash(tmp_path)
    try:
        for typed, completed in (
            ("mainstem consumer-gr\t", "mainstem consumer-groups "),
            ("mainstem topics --desc\t", "mainstem topics --describe "),
            ("mainstem get-offsets --time max\t", "--time max-timestamp "),
            ("mainstem get-offsets --time=max\t", "--time=max-timestamp "),
            (f"mainstem topics --bootstrap-server {bootstrap} --topic compl\t", "--topic completed "),
            ("kafka-topics.sh --desc\t", "kafka-topics.sh --describe "),
        ):
            shell.type(typed)
            shell.read_until(completed)
            shell.type(CLEAR_LINE)
        (tmp_path / "client.properties").write_text("")
        shell.type(f"mainstem topics --command-config {tmp_path}/cli\t")
        shell.read_until("client.properties")
    finally:
        shell.close()
