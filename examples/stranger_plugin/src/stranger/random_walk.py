"""Connector `random-walk`: made-up numbers that wander up and down, always the same ones for one seed."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.connector import ConnectorSpec, Split
from mainstem.api.context import PluginContext
from mainstem.api.hookspecs import hookimpl
from mainstem.api.spec import PluginConfig


class RandomWalkConfig(PluginConfig, frozen=True, kw_only=True):
    """Each walker is a split and takes `steps` steps."""

    walkers: int = 1
    steps: int = 100
    seed: int = 0


class RandomWalk:
    """A position is `[steps taken, where that led]`."""

    def __init__(self, config: RandomWalkConfig, context: PluginContext) -> None:
        self._config = config
        self._clock = context.clock

    async def open(self) -> None:
        pass

    async def splits(self) -> Sequence[Split]:
        names = (f"walker-{number}" for number in range(self._config.walkers))
        return [Split(name=name, records_total=self._config.steps, is_bounded=True) for name in names]

    async def read(self, split: str, position: Any, *, max_records: int, max_wait_ms: int) -> SourceBatch:
        taken, at = position or (0, 0)
        first, end = taken, min(taken + max_records, self._config.steps)
        values = []
        for step in range(first, end):
            at += random.Random(f"{self._config.seed} {split} {step}").choice((-1, 1))
            values.append({"walker": split, "step": step, "at": at})
        times = [self._clock.now_ms()] * len(values)
        batch = Batch(keys=[None] * len(values), values=values, timestamps=times)
        return SourceBatch(split=split, batch=batch, next_position=[end, at], at_end=end == self._config.steps)

    async def commit(self, positions: Mapping[str, Any]) -> None:
        pass

    async def close(self) -> None:
        pass


@hookimpl
def mainstem_register_connectors() -> list[ConnectorSpec]:
    return [ConnectorSpec(name="random-walk", source_config=RandomWalkConfig, open_source=RandomWalk)]
