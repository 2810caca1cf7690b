"""A process of which a test reads what it prints as it comes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

DEADLINE_S = 60.0


class PrintedText:
    """What comes through one pipe of a process, read by a thread until the pipe is closed."""

    def __init__(self, pipe: IO[str]) -> None:
        self.text = ""
        self._is_closed = False
        self._pipe = pipe
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with self._pipe as lines:
            for line in lines:
                with self._changed:
                    self.text += line
                    self._changed.notify_all()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def wait_for(self, pattern: str, *, deadline_s: float = DEADLINE_S) -> re.Match[str]:
        """The first place that matches."""
        self._wait(lambda: re.search(pattern, self.text) is not None, pattern, deadline_s)
        found = re.search(pattern, self.text)
        assert found is not None, "nothing is taken back"
        return found

    def wait_for_all(self, pattern: str, wanted: set[str], *, deadline_s: float = DEADLINE_S) -> None:
        """Until the pattern's group has been each of `wanted`."""
        self._wait(lambda: wanted <= set(re.findall(pattern, self.text)), f"all of {pattern}", deadline_s)

    def _wait(self, is_there: Callable[[], bool], what: str, deadline_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: is_there() or self._is_closed, deadline_s)
            assert is_there(), f"{what!r} did not come; it printed:\n{self.text[-4_000:]}"

    def close(self) -> None:
        """After the process has ended."""
        self._reader.join(DEADLINE_S)


class PrintingProcess:
    """Standard output and error together. It leads a process group of its own."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
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
        assert self.process.stdout is not None
        self._text = PrintedText(self.process.stdout)
        self.wait_for = self._text.wait_for
        self.wait_for_all = self._text.wait_for_all

    @property
    def printed(self) -> str:
        return self._text.text

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
        self._text.close()
