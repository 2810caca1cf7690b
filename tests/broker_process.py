"""A broker in a process of its own, as `mainstem broker` starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

READY = re.compile(r"PLAINTEXT://([\d.]+:\d+)")
START_TIMEOUT_S = 30


class BrokerProcess:
    """Started with a data directory; `port` 0 at first, the same one again after a restart."""

    def __init__(self, data: Path, *overrides: str) -> None:
        self.data = data
        self.overrides = overrides
        self.bootstrap_servers = "127.0.0.1:0"
        self.log = ""
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self, **environment: str) -> None:
        """Returns when the broker says that it listens."""
        command = [sys.executable, "-m", "mainstem.cli.main", "broker"]
        for override in (f"log.dirs={self.data}", f"listeners=PLAINTEXT://{self.bootstrap_servers}", *self.overrides):
            command += ["--override", override]
        self._process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env={"NO_COLOR": "1", **environment}
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready))
        self._reader.start()
        assert ready.wait(START_TIMEOUT_S), self.log

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.log += line
                found = READY.search(line) if "broker.started" in line else None
                if found:
                    self.bootstrap_servers = found[1]
                    ready.set()

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        assert self._reader is not None
        self._process.send_signal(number)
        status = self._process.wait(20)
        self._reader.join()
        return status

    def kill(self) -> None:
        """kill -9: nothing is said, nothing is closed."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
