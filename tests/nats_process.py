"""A NATS server with JetStream of a test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from server_process import ServerProcess, started

MODULE = "github.com/nats-io/nats-server/v2@v2.10.29"
"""The oldest line that the transport is for."""
BUILT = Path(__file__).resolve().parents[1] / ".cache" / "conformance" / "nats"
BUILD_TIMEOUT_S = 600


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


class NatsProcess(ServerProcess):
    name = "nats-server"
    ready = "Server is ready"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self, port: int) -> Sequence[str]:
        return [nats_server_program(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(self.folder / "data")]


def nats_server(folder: Path, *flags: str) -> AbstractContextManager[NatsProcess]:
    return started(NatsProcess(folder, *flags))
