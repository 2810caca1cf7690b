"""The connector port: sources that are read by split and position, sinks that are written in batches.

A source's position is committed only after every sink has flushed what was read before it; a source never
acknowledges by itself. Positions are opaque to the engine, must survive JSON (numbers, strings, lists,
dicts), and reading again from a position returns the same records or later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.context import PluginContext
from mainstem.api.spec import PluginConfig
from mainstem.model.errors import MainstemError


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """One independently readable part of a source.

    `records_total` is an estimate for progress bars, None if nobody knows.
    """

    name: str
    records_total: int | None = None
    is_bounded: bool = False


class Source(Protocol):
    async def open(self) -> None:
        """Raises: ConnectorError with a text that says what to change."""

    async def splits(self) -> Sequence[Split]:
        """Called once after `open`.

        The names stay the same from one start to the next: positions are kept by them.
        """

    async def read(self, split: str, position: Any, *, max_records: int, max_wait_ms: int) -> SourceBatch:
        """Records after `position` (None: from the start), waiting up to `max_wait_ms` for the first one.

        Different splits may be read at the same time, one split never.
        """

    async def commit(self, positions: Mapping[str, Any]) -> None:
        """Everything before these positions has reached every sink. May do nothing."""

    async def close(self) -> None:
        """Release what is held. Also called when `open` failed or was never called."""


class Rejected(msgspec.Struct, frozen=True):
    """A record the sink refused: its place in the batch and why."""

    index: int
    reason: str
    is_retriable: bool = False


class Sink(Protocol):
    async def open(self) -> None:
        """Raises: ConnectorError with a text that says what to change."""

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        """May buffer. Order within one split is kept. A batch with rejected records counts as not written.

        Of `write` and `flush` one is called at a time.
        """

    async def flush(self) -> None:
        """Everything written so far is durable when this returns."""

    async def close(self) -> None:
        """Release what is held.

        What was not flushed may be lost; the engine flushes before if all went well.
        """


class TwoPhaseSink(Sink, Protocol):
    """A sink that takes part in checkpoints: `prepare`, then positions and token are committed together, then `commit`.

    Called so with `--exactly-once`; otherwise `flush` makes visible what was written.
    """

    async def prepare(self) -> str | None:
        """What was written since the last one is durable when this returns, and nobody sees it. Returns a token of at most
        1,000 characters by which every worker finds it; None if nothing was written."""

    async def commit(self, token: str) -> None:
        """Make it visible. It is called again after a crash, maybe by another worker, and must change nothing then."""

    async def abort(self) -> None:
        """Forget what was written or prepared here and was not committed."""


class ConnectorError(MainstemError):
    """A connector that cannot go on; the text names the setting or the place and says what to do."""


class Backpressure(ConnectorError):
    """A sink that cannot take more for now, raised by `write`: the engine comes again with the same batch after
    `retry_after_ms`, and meanwhile reads no more of the splits concerned."""

    def __init__(self, text: str, retry_after_ms: int) -> None:
        super().__init__(text)
        self.retry_after_ms = retry_after_ms


def _never(config: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSpec:
    """Descriptor. A connector may be a source, a sink, or both.

    `is_idempotent(sink config)`: writing a record twice leaves it once, so that a repeat after a crash is
    harmless. `has_two_phases(sink config)`: what it opens is a `TwoPhaseSink`.
    """

    name: str
    source_config: type[PluginConfig] | None = None
    open_source: Callable[[Any, PluginContext], Source] | None = None
    sink_config: type[PluginConfig] | None = None
    open_sink: Callable[[Any, PluginContext], Sink] | None = None
    is_idempotent: Callable[[Any], bool] = _never
    has_two_phases: Callable[[Any], bool] = _never
