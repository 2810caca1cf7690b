"""A broker in a process of its own, on free loopback ports and in a folder that goes away with it."""

import abc
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from peers.api_versions import ask_served_versions
from peers.class_path import PeerUnavailableError

_READY_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 30.0
_START_ATTEMPTS = 3


class BrokerNode(abc.ABC):
    """A broker that lives as long as the `with` block: started, answering; ended and removed at its end.

    `overrides` are lines of server.properties. `log_dir` holds its log folders, `log_path` what it printed.
    """

    name: str

    def __init__(self, *, overrides: Mapping[str, str] | None = None, parent_folder: Path | None = None) -> None:
        self.overrides = dict(overrides or {})
        self.bootstrap = ""
        self.seconds_to_answer = 0.0
        self._parent_folder = parent_folder
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path()
        self._command: list[str] = []

    @property
    def log_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log_path(self) -> Path:
        return self.folder / "broker.log"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def printed(self) -> str:
        """The end of what the broker printed."""
        return self.log_path.read_text(errors="replace")[-4000:]

    @abc.abstractmethod
    def prepare(self) -> list[str]:
        """Choose ports, write what the broker needs into `folder`, set `bootstrap`, return the command."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def start(self) -> None:
        """Start the broker and return when it answers; `seconds_to_answer` counts from its command.

        A free port can be taken by someone else between the moment it is found and the moment the broker
        binds it, so a broker that dies while starting is tried again on other ports.

        Raises:
            PeerUnavailableError: it did not answer; the text holds the end of its log.
        """
        for attempt in range(1, _START_ATTEMPTS + 1):
            self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=self._parent_folder))
            self._command = self.prepare()
            if self._run(_READY_TIMEOUT_S):
                return
            printed = self.printed()
            self.remove()
            if attempt == _START_ATTEMPTS:
                raise PeerUnavailableError(f"{self.name} did not start:\n{printed}")

    def start_again(self, *, timeout_s: float = _READY_TIMEOUT_S) -> None:
        """Start the broker that has been ended or killed with what is in its folder, on the same ports.

        Raises:
            PeerUnavailableError: it did not answer in `timeout_s`; the text holds the end of its log.
        """
        assert self._process is None, "the broker is still running"
        assert self._command, "the broker has never been started"
        if not self._run(timeout_s):
            raise PeerUnavailableError(f"{self.name} did not start again:\n{self.printed()}")

    def kill(self) -> None:
        """End the broker as a crash would, with no chance to put anything in order; its folder stays."""
        assert self._process is not None, "the broker is not running"
        self._process.kill()
        self._process.wait()
        self._process = None

    def end(self, *, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """End the broker cleanly, by force when it does not end; its folder stays."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def remove(self) -> None:
        """End the broker and remove its folder."""
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, timeout_s: float) -> bool:
        began = time.monotonic()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        answers = self._answers(began + timeout_s)
        self.seconds_to_answer = time.monotonic() - began
        return answers

    def _answers(self, deadline: float) -> bool:
        """Ask until the broker answers; False when it died or the deadline passed."""
        assert self._process is not None, "asked before the start"
        while time.monotonic() < deadline:
            try:
                # Apache Kafka opens its listener when the node is registered: an answer means it is ready.
                return ask_served_versions(self.bootstrap, timeout_s=5.0).error_code == 0
            except OSError:
                try:
                    self._process.wait(0.01)
                except subprocess.TimeoutExpired:
                    continue
                return False
        return False


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listened on a moment ago.

    They lie below those the system gives to outgoing connections: there, a connection made to ask whether the
    broker listens already could be given the very port it asks for as its own, and talk to itself.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(10_240, 32_768), 1_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise PeerUnavailableError(f"no {count} free ports among a thousand tried")
