"""Ties a broker to its faults; what it takes to inject them is imported with the first rule, which most brokers never get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mainstem.broker.dispatch import Dispatcher
from mainstem.broker.faults.registry import Faults
from mainstem.broker.services import Services


class Follower(Protocol):
    """`injector.FaultInjector`."""

    def follow(self) -> None: ...

    def close(self) -> None: ...


def attach(dispatcher: Dispatcher, services: Services, faults: Faults) -> Callable[[], None]:
    """On the broker's loop; returns how to detach."""
    made: list[Follower] = []

    def follow() -> None:
        if faults.rules and not made:
            from mainstem.broker.faults.injector import FaultInjector

            made.append(FaultInjector(dispatcher, services, faults))
        for injector in made:
            injector.follow()

    stop_listening = faults.listen(follow)

    def detach() -> None:
        stop_listening()
        for injector in made:
            injector.close()

    return detach
