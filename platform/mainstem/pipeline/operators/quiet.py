"""What most steps with state have in common: nothing happens when only time passes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mainstem.pipeline.operators.stateful import Emission
from mainstem.pipeline.state.store import Place


class Quiet:
    """Answers for the calls of `StatefulOperator` that a step has no use for."""

    @property
    def delay_ms(self) -> int:
        return 0

    def on_watermark(self, watermark_ms: int) -> Iterable[Emission]:
        return ()

    def on_wall_clock(self, now_ms: int) -> Iterable[Emission]:
        return ()

    def next_wall_clock_ms(self) -> int | None:
        return None

    def shown(self, place: Place, value: Any) -> Any:
        return value

    def closed_until_ms(self) -> int | None:
        return None
