"""Processes of the same script: nobody is left behind, whenever the wish to stop comes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import pytest

from mainstem.app import reloading, workers
from mainstem.app.workers import Workers
from mainstem.model.errors import ConfigError


class Child:
    """A process that ends when it is asked to, unless it is `slow`."""

    def __init__(self, *, slow: bool = False) -> None:
        self.returncode: int | None = None
        self.slow = slow
        self.asked = 0
        self._ended = asyncio.Event()

    def send_signal(self, number: int) -> None:
        self.asked += 1
        if not self.slow:
            self.returncode = -number
            self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


async def test_a_signal_while_workers_are_started_ends_those_that_are_there(monkeypatch):
    children: list[Child] = []
    group = Workers()

    async def start_again(environment: object) -> Child:
        children.append(Child())
        if len(children) == 2:
            group.stop()
        return children[-1]

    monkeypatch.setattr(workers, "start_again", start_again)
    await group.start(4, {})
    async with asyncio.timeout(30):
        status = await group.until_all_ended()
    assert status == 128 + signal.SIGTERM
    assert [child.returncode for child in children] == [-signal.SIGTERM] * 2


async def test_a_worker_that_takes_its_checkpoint_is_not_asked_twice(monkeypatch):
    """A second signal would end it uncleanly."""
    children: list[Child] = []
    group = Workers()

    async def start_again(environment: object) -> Child:
        children.append(Child(slow=True))
        if len(children) == 3:
            group.stop()
        return children[-1]

    monkeypatch.setattr(workers, "start_again", start_again)
    await group.start(4, {})
    assert [child.asked for child in children] == [1, 1, 1]


async def test_a_signal_while_a_script_is_started_ends_it(monkeypatch, tmp_path):
    child = Child()
    stop: list[Callable[[], None]] = []

    async def start_again(environment: object) -> Child:
        stop[0]()
        return child

    monkeypatch.setattr(reloading, "on_signals", lambda call, stack: stop.append(call))
    monkeypatch.setattr(reloading, "start_again", start_again)
    async with asyncio.timeout(30):
        assert await reloading._run([tmp_path]) == 128 + signal.SIGTERM
    assert child.returncode == -signal.SIGTERM


def test_without_watchfiles_reload_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigError, match=r"it needs watchfiles: pip install 'mainstem\[reload\]'"):
        reloading.run_reloading(tmp_path / "script.py", [])
