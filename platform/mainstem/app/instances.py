"""Which of the processes on this machine this one is: the same number from one start to the next, so that a transaction which a
crash left open is ended by the restart and not by its timeout.

A process takes the lowest number that no other one holds in the data directory: a locked file each, released by the system
whenever the process ends.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainstem.model.errors import ConfigError

FOLDER = "instances"
MACHINE = "machine"
INSTANCES_MAX = 4_096


@contextmanager
def claimed_instance(data: Path) -> Iterator[str]:
    """A name such as `3f9a0c1d-0`. Raises: ConfigError if the data directory cannot be used."""
    folder = data / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        machine = _machine(folder)
    except OSError as error:
        raise ConfigError("data", str(data), f"it cannot be used: {error.strerror}") from error
    if sys.platform == "win32":
        yield f"{machine}-{secrets.token_hex(4)}"  # no locks that end with the process: the timeout must do
        return
    import fcntl

    for number in range(INSTANCES_MAX):
        with (folder / f"{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield f"{machine}-{number}"
            return
    raise ConfigError("data", str(data), f"{INSTANCES_MAX} processes use it already")


def _machine(folder: Path) -> str:
    """Drawn once for a data directory, so that two machines never share a name."""
    named = folder / MACHINE
    try:
        with named.open("x") as file:
            file.write(secrets.token_hex(4))
    except FileExistsError:
        pass
    return named.read_text() or "0"
