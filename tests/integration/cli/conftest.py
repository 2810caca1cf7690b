from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from mainstem import Broker
from mainstem.cli.main import main


class Finished(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Finished]


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """One broker for all tests of a file; they keep apart by the names of their topics and groups."""
    with Broker(storage="memory") as broker:
        yield broker.bootstrap_servers


@pytest.fixture
def mainstem(bootstrap: str, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs one command line in this process, connected to the broker: `mainstem("topics --list")`."""

    def run(line: str, stdin: bytes = b"") -> Finished:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        command, *arguments = shlex.split(line)
        status = main([command, "--bootstrap-server", bootstrap, *arguments])
        out, err = capsysbinary.readouterr()
        return Finished(status, out.decode(), err.decode())

    return run
