"""Each test has the examples in a folder of its own, and ends what it has started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from faust_examples.example_files import copy_examples
from peers.node import free_ports
from printing_process import DEADLINE_S, PrintingProcess

from mainstem.app.embedded import Broker

LOOK_S = 0.05


class Examples:
    """In `folder`, on the broker that `url` names. Everything runs in the folder of its file, as Faust's README has it."""

    def __init__(self, folder: Path, url: str) -> None:
        copy_examples(folder, url)
        self.folder = folder
        self.environment = {"BROKER_URL": url}  # for those that name no broker
        self.port = free_ports(1)[0]
        self.running: list[PrintingProcess] = []

    def worker(self, script: str, *flags: str) -> PrintingProcess:
        """`script` as its users start it; its web server on `port`."""
        web = ["--web-host", "127.0.0.1", "--web-port", str(self.port)]
        return self.start(script, "worker", "--loglevel", "info", *web, *flags)

    def start(self, script: str, *arguments: str) -> PrintingProcess:
        return self.run([*self._program(script), *arguments], (self.folder / script).parent)

    def run(self, command: list[str], folder: Path) -> PrintingProcess:
        self.running.append(PrintingProcess(command, folder, self.environment))
        return self.running[-1]

    def command(self, script: str, *arguments: str) -> str:
        """A command of the app; what it says."""
        done = subprocess.run(
            [*self._program(script), *arguments],
            cwd=(self.folder / script).parent,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3_000:]
        return done.stdout + done.stderr

    def _program(self, script: str) -> list[str]:
        if "app.main()" in (self.folder / script).read_text():
            return [sys.executable, Path(script).name]
        return [sys.executable, "-m", "faust", "-A", Path(script).stem]

    def get(self, path: str, *, port: int | None = None) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=DEADLINE_S) as answer:
            return json.loads(answer.read())

    def wait_for(self, holds: Callable[[], bool], seen: Callable[[], Any] = lambda: "") -> None:
        """What another process does, and tells nobody. `seen`, for when it does not."""
        ends = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < ends, f"it did not come true {seen()}"
            time.sleep(LOOK_S)

    def wait_for_answer(self, path: str, holds: Callable[[Any], bool], *, port: int | None = None) -> None:
        last: Any = None

        def has_it() -> bool:
            nonlocal last
            try:
                last = self.get(path, port=port)
            except OSError as error:  # it has not started yet
                last = error
                return False
            return holds(last)

        self.wait_for(has_it, lambda: f"at {path}: {last!r}")

    @property
    def bootstrap(self) -> str:
        return self.environment["BROKER_URL"].partition("://")[2]

    def wait_for_end(self, topic: str, count: int) -> int:
        """How many records it has, once there are so many."""
        watcher = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "watcher"})

        def end() -> int:
            partitions = watcher.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
            return sum(watcher.get_watermark_offsets(TopicPartition(topic, number))[1] for number in partitions)

        try:
            self.wait_for(lambda: end() >= count)
            return end()
        finally:
            watcher.close()

    def close(self) -> None:
        for one in self.running:
            one.kill()


@pytest.fixture
def new_examples(tmp_path: Path) -> Iterator[Callable[[str], Examples]]:
    """`new_examples("embedded")`, or `memory`, or `kafka`: a cluster over sockets, which processes can share."""
    made: list[Examples] = []
    brokers: list[Broker] = []

    def make(kind: str) -> Examples:
        urls = {"embedded": f"mainstem://{tmp_path / 'data'}", "memory": "memory://examples"}
        if kind == "kafka":
            brokers.append(Broker(data=tmp_path / "cluster").start())
            urls["kafka"] = f"mainstem+kafka://{brokers[0].bootstrap_servers}"
        made.append(Examples(tmp_path / "examples", urls[kind]))
        return made[-1]

    yield make
    for examples in made:
        examples.close()
    for broker in brokers:
        broker.close()
