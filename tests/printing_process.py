"""A process of which a test reads what it prints as it comes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

DEADLINE_S = 60.0


class PrintingProcess:
    """Standard output and error together, in `printed`. It leads a process group of its own."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.printed = ""
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._changed:
                    self.printed += line
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, pattern: str, *, deadline_s: float = DEADLINE_S) -> re.Match[str]:
        """The first place that matches."""
        found: list[re.Match[str]] = []

        def is_there() -> bool:
            found.extend(re.finditer(pattern, self.printed))
            return bool(found)

        self._wait(is_there, pattern, deadline_s)
        return found[0]

    def wait_for_all(self, pattern: str, wanted: set[str], *, deadline_s: float = DEADLINE_S) -> None:
        """Until the pattern's group has been each of `wanted`."""
        self._wait(lambda: wanted <= set(re.findall(pattern, self.printed)), f"all of {pattern}", deadline_s)

    def _wait(self, is_there: Callable[[], bool], what: str, deadline_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: is_there() or not self._reader.is_alive(), deadline_s)
            assert is_there(), f"{what!r} did not come; it printed:\n{self.printed[-4_000:]}"

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its status. What is left of its group is killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(DEADLINE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
