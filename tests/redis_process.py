"""A Redis server of a test's own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from server_process import ServerProcess, started


class RedisProcess(ServerProcess):
    name = "redis-server"
    ready = "Ready to accept connections"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}/0"

    def command(self, port: int) -> Sequence[str]:
        found = shutil.which(self.name)
        assert found is not None, "there is no redis-server: apt-get install redis-server"
        return [found, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(self.folder), "--save", ""]


def redis_server(folder: Path, *flags: str) -> AbstractContextManager[RedisProcess]:
    return started(RedisProcess(folder, *(flags or ("--appendonly", "no"))))
