"""`Faults`: the rules of a test, seeded; they can come and go while brokers run.

    faults = Faults(seed=7)
    with Broker(faults=faults) as broker:
        rule = faults.fail("NOT_LEADER_OR_FOLLOWER", api="Produce", topic="orders", count=3)
        ...
        assert faults.status(rule).injected == 3

The same seed and the same requests give the same faults: each rule draws from numbers of its own, one for each request that
fits it.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mainstem.broker.faults.rules import Fault, check_fault, fault_from_fields
from mainstem.model.errors import ConfigError

MEMBERS_KEPT = 10_000
SWITCH_TIMEOUT_S = 30


class RuleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`matched`: requests that the rule is for; `injected`: those of them that got the fault."""

    id: int
    fault: Fault
    matched: int
    injected: int


class Rule:
    """One fault and what became of it so far. Decides on the loops of the brokers that have it."""

    def __init__(self, number: int, fault: Fault, seed: int) -> None:
        self.number = number
        self.fault = fault
        self.matched = 0
        self.injected = 0
        self.is_moved = False
        self._random = random.Random(f"{seed}:{number}")
        # Two brokers of one process may share their faults.
        self._counts_are_changing = threading.RLock()
        self._rebalanced: dict[str, int] = {}

    def fires(self) -> bool:
        """Decide about one more request that fits."""
        with self._counts_are_changing:
            return self._decide(self.fault.count is not None and self.injected >= self.fault.count)

    def _decide(self, is_used_up: bool) -> bool:
        self.matched += 1
        fault = self.fault
        if self.matched <= fault.skip or is_used_up:
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        self.injected += 1
        return True

    def moves(self) -> bool:
        """Of kind `coordinator-move`: once it has moved, every request hears so until somebody looks for it again."""
        with self._counts_are_changing:
            self.is_moved = self.is_moved or self.fires()
            return self.is_moved

    def rebalances(self, member_id: str) -> bool:
        """Of kind `rebalance`: `count` times for each member, once if nothing is said."""
        with self._counts_are_changing:
            times = self._rebalanced.get(member_id, 0)
            if not self._decide(times >= (self.fault.count or 1)):
                return False
            if len(self._rebalanced) >= MEMBERS_KEPT:
                self._rebalanced.clear()
            self._rebalanced[member_id] = times + 1
            return True

    def delay_s(self) -> float:
        return (self.fault.delay_ms + self._random.uniform(0, self.fault.jitter_ms)) / 1000

    @property
    def status(self) -> RuleStatus:
        return RuleStatus(id=self.number, fault=self.fault, matched=self.matched, injected=self.injected)


class Faults:
    """May be called from any thread; a rule is obeyed, or gone, when the call returns."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.rules: tuple[Rule, ...] = ()
        """What is obeyed now, in the order of `add`."""
        self._next = 1
        # Callers are tests on any thread; brokers only ever read the tuple.
        self._rules_are_changing = threading.Lock()
        self._listeners: list[tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = []

    # ------------------------------------------------------------------------------------------------------------- rules

    def add(self, fault: Fault) -> int:
        """Returns the rule's number. Raises: ConfigError, naming the field."""
        check_fault(fault)
        with self._rules_are_changing:
            rule = Rule(self._next, fault, self.seed)
            self._next += 1
            self.rules = (*self.rules, rule)
        self._tell()
        return rule.number

    def fail(self, error: str, **fields: Any) -> int:
        """Answer with an error code, such as `NOT_LEADER_OR_FOLLOWER`. `fields`: those of `Fault`. Raises: ConfigError."""
        return self.add(fault_from_fields("error", {"error": error, **fields}))

    def delay(self, delay_ms: int, **fields: Any) -> int:
        """Answer later. `fields`: those of `Fault`. Raises: ConfigError."""
        return self.add(fault_from_fields("delay", {"delay_ms": delay_ms, **fields}))

    def disconnect(self, **fields: Any) -> int:
        """Close the connection in the place of an answer. `fields`: those of `Fault`. Raises: ConfigError."""
        return self.add(fault_from_fields("disconnect", fields))

    def move_coordinator(self, group: str, **fields: Any) -> int:
        """Let a group's or a transactional id's coordinator be elsewhere until it is looked for, once if no `count` is given.

        Raises: ConfigError.
        """
        return self.add(fault_from_fields("coordinator-move", {"group": group, "count": 1, **fields}))

    def rebalance(self, group: str, **fields: Any) -> int:
        """Let every member of a group join again, once if no `count` is given. Raises: ConfigError."""
        return self.add(fault_from_fields("rebalance", {"group": group, **fields}))

    def remove(self, number: int) -> None:
        """Raises: ConfigError if there is no such rule."""
        with self._rules_are_changing:
            left = tuple(rule for rule in self.rules if rule.number != number)
            if len(left) == len(self.rules):
                raise ConfigError("id", number, f"there are the rules {[rule.number for rule in self.rules]}")
            self.rules = left
        self._tell()

    def clear(self) -> None:
        """Remove all rules."""
        with self._rules_are_changing:
            self.rules = ()
        self._tell()

    def status(self, number: int) -> RuleStatus:
        """Raises: ConfigError if there is no such rule."""
        for rule in self.rules:
            if rule.number == number:
                return rule.status
        raise ConfigError("id", number, f"there are the rules {[rule.number for rule in self.rules]}")

    def statuses(self) -> Sequence[RuleStatus]:
        return [rule.status for rule in self.rules]

    # ----------------------------------------------------------------------------------------------------------- brokers

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """`callback()` runs on the calling loop after every change; returns how to stop that."""
        listener = (asyncio.get_running_loop(), callback)
        self._listeners.append(listener)
        callback()
        return lambda: self._listeners.remove(listener)

    def _tell(self) -> None:
        try:
            own = asyncio.get_running_loop()
        except RuntimeError:
            own = None
        for loop, callback in tuple(self._listeners):
            if loop is own:
                callback()
            else:
                asyncio.run_coroutine_threadsafe(_call(callback), loop).result(SWITCH_TIMEOUT_S)


async def _call(callback: Callable[[], None]) -> None:
    callback()
