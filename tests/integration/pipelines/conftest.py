"""Scripts that end with `run(...)`, in processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from printing_process import DEADLINE_S, PrintedText

ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}


class Script:
    """A running script. Its standard error is read as it comes; `wait_for` gives the first place that matches."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.process = process
        self._errors = PrintedText(process.stderr)
        self.wait_for = self._errors.wait_for

    @property
    def errors(self) -> str:
        return self._errors.text

    def end(self) -> tuple[int, str, str]:
        """Status, standard output and standard error."""
        assert self.process.stdout is not None
        output = self.process.stdout.read()
        status = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self._errors.close()
        return status, output, self.errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Script]]:
    """Write a script and start it: `start(text, "--once")`; `how="run"` starts it by `mainstem run`. It leads a process
    group of its own, as what is started in a terminal does."""
    running: list[Script] = []

    def begin(text: str, *flags: str, how: str = "python", name: str = "script.py") -> Script:
        (tmp_path / name).write_text(text)
        command = (
            [sys.executable, name] if how == "python" else [sys.executable, "-m", "mainstem.cli.main", "run", name]
        )
        process = subprocess.Popen(
            [*command, *flags],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        running.append(Script(process))
        return running[-1]

    yield begin
    for script in running:
        if script.process.poll() is None:
            os.killpg(script.process.pid, signal.SIGKILL)
            script.end()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
