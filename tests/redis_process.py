"""A Redis server of a test's own: on loopback, on a free port, its files in the test's folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STARTS_MAX = 5


class RedisProcess:
    """`stop` and `kill` end it; `start` begins again with what is in the folder, on the same port."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        self._flags = flags
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}/0"

    def start(self) -> None:
        found = shutil.which("redis-server")
        assert found is not None, "there is no redis-server: apt-get install redis-server"
        said = ""
        for _ in range(STARTS_MAX):
            port = self.port or _free_port()
            command = [found, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(self._folder), "--save", ""]
            self._process = subprocess.Popen([*command, *self._flags], stdout=subprocess.PIPE, text=True)
            assert self._process.stdout is not None
            for line in self._process.stdout:
                said += line
                if "Ready to accept connections" in line:
                    self.port = port
                    return
            self._end()
        raise AssertionError(f"redis-server does not start:\n{said}")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._end()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.wait(30)
        self._process.stdout.close()
        self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis_server(folder: Path, *flags: str) -> Iterator[RedisProcess]:
    server = RedisProcess(folder, *(flags or ("--appendonly", "no")))
    server.start()
    try:
        yield server
    finally:
        if server.is_running:
            server.kill()
