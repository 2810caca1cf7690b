"""Another project's server of a test's own: on loopback, on a free port, its files in the test's folder."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from peers.node import free_ports

STARTS_MAX = 5
START_TIMEOUT_S = 20
LOOK_S = 0.01


class ServerProcess:
    """`kill` ends it; `start` begins again with what is in the folder, on the same port."""

    name: str
    ready: str
    """What it says when it listens."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.flags = flags
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, port: int) -> Sequence[str]:
        raise AssertionError("of each kind of server")

    def start(self) -> None:
        log = self.folder / "server.log"
        for _ in range(STARTS_MAX):
            port = self.port or free_ports(1)[0]
            with log.open("wb") as out:
                self._process = subprocess.Popen([*self.command(port), *self.flags], stdout=out, stderr=out)
            deadline = time.monotonic() + START_TIMEOUT_S
            while self._process.poll() is None and time.monotonic() < deadline:
                if self.ready in log.read_text(errors="replace"):
                    self.port = port
                    return
                time.sleep(LOOK_S)
            self.kill()
        raise AssertionError(f"{self.name} does not start: {log.read_text(errors='replace')[-2_000:]}")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)
        self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None


Server = TypeVar("Server", bound=ServerProcess)


@contextmanager
def started(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        if server.is_running:
            server.kill()
