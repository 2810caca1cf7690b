"""A NATS server with JetStream of a test's own: on loopback, on a free port, its files in the test's folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODULE = "github.com/nats-io/nats-server/v2@v2.10.29"
"""The oldest line that the transport is for."""
BUILT = Path(__file__).resolve().parents[1] / ".cache" / "conformance" / "nats"
BUILD_TIMEOUT_S = 600
STARTS_MAX = 5
START_TIMEOUT_S = 20


def nats_server_program() -> str:
    """On the PATH, or built once by Go."""
    found = shutil.which("nats-server")
    if found is not None:
        return found
    program = BUILT / "nats-server"
    if not program.exists():
        go = shutil.which("go")
        assert go is not None, f"there is no nats-server, and no Go to build it with: go install {MODULE}"
        BUILT.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [go, "install", MODULE], env={**os.environ, "GOBIN": str(BUILT)}, capture_output=True, text=True,
            timeout=BUILD_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"go install {MODULE}: {done.stderr[-2_000:]}"
    return str(program)


class NatsProcess:
    """`kill` ends it; `start` begins again with what is in the folder, on the same port."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        self._flags = flags
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        program, log = nats_server_program(), self._folder / "server.log"
        for _ in range(STARTS_MAX):
            port = self.port or free_port()
            command = [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(self._folder / "data")]
            with log.open("wb") as out:
                self._process = subprocess.Popen([*command, *self._flags], stdout=out, stderr=out)
            deadline = time.monotonic() + START_TIMEOUT_S
            while self._process.poll() is None and time.monotonic() < deadline:
                if "Server is ready" in log.read_text(errors="replace"):
                    self.port = port
                    return
                time.sleep(0.01)
            self.kill()
        raise AssertionError(f"nats-server does not start: {log.read_text(errors='replace')[-2_000:]}")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)
        self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nats_server(folder: Path, *flags: str) -> Iterator[NatsProcess]:
    server = NatsProcess(folder, *flags)
    server.start()
    try:
        yield server
    finally:
        if server.is_running:
            server.kill()
