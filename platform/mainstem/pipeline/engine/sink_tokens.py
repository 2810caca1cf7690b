"""Two phases of sinks that take part in checkpoints, as Flink's TwoPhaseCommitSinkFunction does it:

    prepare ─> token          what was written is durable, and nobody sees it
    positions and tokens      are committed in one step
    commit(token)             it is seen

After a crash in between, whoever gets a task finds the token beside its position, and commits it once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from mainstem.pipeline.engine.connector_reader import reason_of
from mainstem.pipeline.engine.stages import StoppedAt
from mainstem.pipeline.errors import StageFailure

TOKEN_CHARACTERS_MAX = 1_000  # Kafka keeps 4,096 bytes of metadata beside a position

_FORM = "mainstem-sinks-1 "
_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(dict[str, str])
R = TypeVar("R")


def with_tokens(metadata: str, tokens: Mapping[str, str]) -> str:
    """`metadata` is that of the state, and stays the first line."""
    return f"{metadata}\n{_FORM}{_ENCODER.encode(tokens).decode()}" if tokens else metadata


def tokens_in(metadata: str) -> Mapping[str, str]:
    """By the names of sinks."""
    for line in metadata.split("\n"):
        if line.startswith(_FORM):
            try:
                return _DECODER.decode(line.removeprefix(_FORM))
            except msgspec.DecodeError:
                return {}  # not ours
    return {}


class Prepared(Protocol):
    """A connector's output that has two phases; `name` is that of its stage."""

    @property
    def name(self) -> str: ...

    async def prepare(self) -> str | None: ...

    async def commit(self, token: str) -> None: ...

    async def abort(self) -> None: ...


class TwoPhaseSinks:
    """Those of one worker. Raises from every call: StoppedAt."""

    def __init__(self, sinks: Sequence[Prepared]) -> None:
        self._sinks = {sink.name: sink for sink in sinks}

    async def prepare(self) -> dict[str, str]:
        tokens: dict[str, str] = {}
        for name, sink in self._sinks.items():
            token = await _of(name, sink.prepare())
            if token is None:
                continue
            if len(token) > TOKEN_CHARACTERS_MAX:
                reason = f"its token has {len(token):,} characters, at most {TOKEN_CHARACTERS_MAX:,} are possible"
                raise StoppedAt(name, "", StageFailure(reason))
            tokens[name] = token
        return tokens

    async def commit(self, tokens: Mapping[str, str]) -> None:
        for name, token in tokens.items():
            sink = self._sinks.get(name)
            if sink is not None:  # a plan that was changed may lack it
                await _of(name, sink.commit(token))

    async def recover(self, committed: Iterable[str]) -> None:
        """`committed`: the metadata beside positions that this worker takes over."""
        found = {(name, token) for metadata in committed for name, token in tokens_in(metadata).items()}
        for name, token in sorted(found):
            await self.commit({name: token})

    async def abort(self) -> None:
        for name, sink in self._sinks.items():
            await _of(name, sink.abort())


async def _of(name: str, work: Awaitable[R]) -> R:
    try:
        return await work
    except Exception as error:  # a sink may be a stranger's
        raise StoppedAt(name, "", StageFailure(reason_of(error))) from error
