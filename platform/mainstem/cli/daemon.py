"""Brokers in the background: started, detached from the terminal; ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path

from mainstem.cli.output import print_error
from mainstem.cli.pid_files import path_of, running

DEFAULT_LOG_DIR = Path("mainstem-logs")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.02
TAIL_BYTES = 4000


def start(log_dir: str | None, name: str, properties: Path | None, overrides: Sequence[str]) -> int:
    """Returns when the broker serves, or has ended instead, then with status 1 and what it printed; or after a minute."""
    directory = (Path(log_dir) if log_dir else DEFAULT_LOG_DIR).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    output = directory / f"{name}.out"
    command = [sys.executable, "-m", "mainstem.cli.main", "broker"]
    command += [str(properties)] if properties is not None else []
    for override in overrides:
        command += ["--override", override]
    with output.open("ab") as file:
        start_of_output = file.tell()
        # A session of its own: neither the terminal's end nor its Ctrl-C reaches the broker.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "LOG_DIR": str(directory)},
        )
    state = _wait(process, path_of(directory, process.pid))
    if state is Start.ENDED:
        with output.open("rb") as file:
            file.seek(max(start_of_output, output.stat().st_size - TAIL_BYTES))
            print_error(file.read().decode("utf-8", "replace").rstrip())
        print_error(f"the broker did not start; {output} holds what it printed")
        return 1
    doing = "runs" if state is Start.SERVING else f"is still starting after {START_TIMEOUT_S:.0f} s"
    print(f"broker {process.pid} {doing} in the background; it prints to {output}; `mainstem broker --stop` ends it")
    # Its end is no business of this process any more.
    process.returncode = 0
    return 0


class Start(Enum):
    """How far a broker is that was started in the background."""

    SERVING = auto()
    STARTING = auto()
    ENDED = auto()


def _wait(process: subprocess.Popen[bytes], pid_file: Path) -> Start:
    """Until clients can connect, the broker has ended, or it takes too long: recovery of much data does."""
    ends = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends:
        if pid_file.exists():
            return Start.SERVING
        if process.poll() is not None:
            return Start.ENDED
        time.sleep(POLL_S)
    return Start.STARTING


def stop(log_dir: str | None, *, node_id: int | None) -> int:
    """Ends brokers cleanly and waits until they are gone; status 1 if there is none, or one does not end."""
    directory = Path(log_dir) if log_dir else DEFAULT_LOG_DIR
    brokers = [broker for broker in running(directory) if node_id is None or broker.node_id == node_id]
    if not brokers:
        print("No kafka server to stop")
        return 1
    for broker in brokers:
        os.kill(broker.pid, signal.SIGTERM)
    ends = time.monotonic() + STOP_TIMEOUT_S
    while any(broker.is_alive for broker in brokers):
        if time.monotonic() >= ends:
            numbers = ", ".join(str(broker.pid) for broker in brokers if broker.is_alive)
            print_error(f"still running after {STOP_TIMEOUT_S:.0f} s: {numbers}")
            return 1
        time.sleep(POLL_S)
    return 0
