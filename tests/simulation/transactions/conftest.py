"""Transactions under chaos: producers that crash and lose messages, a broker that crashes (`virtual_broker`), its logs that commit
late and lose their tails (`transactional_log`).

Real are the coordinators of transactions and groups, their shards, markers, the verifier, the log's producer state and Kafka's
bytes. Time, disk and network are not. The judge knows every transaction by name and looks at what readers could see.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from virtual_time import Time

sys.path.insert(0, str(Path(__file__).resolve().parent))

from clients import Judge, Producer
from virtual_broker import DATA, Broker


class World:
    """One run. Faults and new transactions end at `busy_ms`; then everything must come to rest."""

    def __init__(self, seed: int, busy_ms: int = 12_000, rest_ms: int = 40_000) -> None:
        self.chance = random.Random(seed)
        self.time = Time()
        self.broker = Broker(self.time, self.chance)
        self.data = DATA
        self.judge = Judge(self.broker.logs, lambda: self.broker.groups)
        self.stops = False
        self.loss = self.chance.choice([0.0, 0.02, 0.08])
        self.late = self.chance.choice([0.0, 0.03, 0.1])
        self._busy_ms, self._rest_ms = busy_ms, rest_ms

    def run(self) -> World:
        for index in range(self.chance.randint(1, 3)):
            producer = Producer(self, f"p{index}", self.chance.choice([9, 11, 12, 13]))
            producer.start()
            self._again(self.chance.randint(1_500, 6_000), producer.start)
        fault = self.chance.choice([self._crash, self._lose, self._refuse, lambda: None])
        self._again(self.chance.randint(400, 4_000), fault)
        self._again(self.chance.randint(700, 6_000), self._lose)
        self._again(1_000, self.judge.look)
        self.time.run_until(self._busy_ms)
        self.stops, self.loss, self.late = True, 0.0, 0.0
        for log in self.broker.logs.values():
            log.is_refusing = False
        self.time.run_until(self._busy_ms + self._rest_ms)
        self.judge.check_end()
        return self

    def _again(self, every_ms: int, action: Callable[[], Any]) -> None:
        def act() -> None:
            if not self.stops:
                action()
                self.time.after(self.chance.randint(every_ms // 2, every_ms * 2), act)

        self.time.after(self.chance.randint(every_ms // 2, every_ms * 2), act)

    def _crash(self) -> None:
        self.broker.crash(self.chance.randint(50, 800))

    def _lose(self) -> None:
        self.broker.lose_coordinator(self.chance.randint(10, 400))

    def _refuse(self) -> None:
        log = self.chance.choice(list(self.broker.logs.values()))
        log.is_refusing = True
        self.time.after(self.chance.randint(50, 1_500), lambda: setattr(log, "is_refusing", False))


@pytest.fixture(scope="session")
def simulate() -> Callable[[int], World]:
    return lambda seed: World(seed).run()
