"""Who runs: a file for each broker, so that another command can end it. A file that outlived its process harms nobody."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATTERN = "mainstem-broker-*.pid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A broker. `birth` tells its process from a later one of the same number, where the system says it."""

    pid: int
    node_id: int
    birth: str

    @property
    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return False
        return _birth(self.pid) == self.birth


@contextmanager
def pid_file(directory: Path, node_id: int) -> Iterator[Callable[[], None]]:
    """What is yielded writes this process's file, and warns where it cannot; leaving removes it."""
    path = path_of(directory, os.getpid())

    def write() -> None:
        facts = {"pid": os.getpid(), "node_id": node_id, "birth": _birth(os.getpid())}
        # Renamed when complete: whoever looks finds all of it or nothing.
        draft = path.with_suffix(".draft")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(facts), encoding="utf-8")
            draft.rename(path)
        except OSError as error:
            # A broker that serves is not ended for a file that only makes it easier to end.
            print(f"mainstem broker: {path} cannot be written: {error.strerror}", file=sys.stderr)

    try:
        yield write
    finally:
        if path.exists():
            path.unlink()


def path_of(directory: Path, pid: int) -> Path:
    return directory / PATTERN.replace("*", str(pid))


def running(directory: Path) -> list[Running]:
    """The brokers that have a file here and are alive, oldest number first."""
    found = []
    for path in sorted(directory.glob(PATTERN)):
        broker = _read(path)
        if broker is not None and broker.is_alive:
            found.append(broker)
    return sorted(found, key=lambda broker: broker.pid)


def _read(path: Path) -> Running | None:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return Running(pid=int(facts["pid"]), node_id=int(facts["node_id"]), birth=str(facts["birth"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _birth(pid: int) -> str:
    """When the system started a process; empty where it does not tell, or tells no more."""
    try:
        # The name of the program stands in brackets and may hold anything; what follows it does not.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
