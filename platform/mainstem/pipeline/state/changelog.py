"""What a task writes to its changelog, and which of it counts when another process reads it back.

A task's state belongs to the position that its consumer group has committed, and the commit carries in its metadata which
state that is (`StateId`). So position and state change in one step, even though they lie in two topics:

    changelog   … | entries of owner A, checkpoints 1, 2, 3 | entries of owner B, 1, 2 | B, 3 (torn by a crash)
                                                            └ base: the end when B took over
    committed     offset 700, metadata "B, checkpoint 2, base"

Whoever takes over reads to the end. Below the base every entry counts. From the base on only entries of the committed owner
up to the committed checkpoint do: B's torn checkpoint 3 does not, and neither does what A, put out of the group while it
slept, still wrote. The keys of such entries are written once more with what does count (`repairs`), because a compacted topic
may keep nothing else of them. This needs no transactions; with them it holds as well.

A value is stamped with owner and checkpoint; a deletion, which must be a null value for compaction, carries the stamp
in a header.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from mainstem.api.batch import Batch
from mainstem.model.columns import Headers

_STAMP = struct.Struct(">QI")
STAMP_BYTES = _STAMP.size
STAMP_HEADER = "mainstem.stamp"
_FORM = "mainstem-state-1"


class StateId(msgspec.Struct, frozen=True, array_like=True):
    """Which state belongs to a committed position. `owner` is drawn anew by each process that takes a task over."""

    owner: int
    checkpoint: int
    base: int

    def text(self) -> str:
        return f"{_FORM} {self.owner:016x} {self.checkpoint} {self.base}"


def state_id(text: str) -> StateId | None:
    """None: no state was ever kept for this position."""
    parts = text.partition("\n")[0].split(" ")
    if len(parts) != 4 or parts[0] != _FORM:
        return None
    try:
        return StateId(int(parts[1], 16), int(parts[2]), int(parts[3]))
    except ValueError:
        return None


class Change(NamedTuple):
    """An entry as bytes; `value` None deletes."""

    key: bytes
    value: bytes | None


def to_batches(changes: Sequence[Change], owner: int, checkpoint: int, now_ms: int) -> list[Batch]:
    """Records of the changelog: those with values, then deletions."""
    stamp = _STAMP.pack(owner, checkpoint)
    kept = [change for change in changes if change.value is not None]
    gone = [change for change in changes if change.value is None]
    batches = []
    if kept:
        batches.append(
            Batch(
                keys=[change.key for change in kept],
                values=[stamp + change.value for change in kept],  # type: ignore[operator]  # None was sorted out
                timestamps=[now_ms] * len(kept),
            )
        )
    if gone:
        header: Headers = ((STAMP_HEADER, stamp),)
        batches.append(
            Batch(
                keys=[change.key for change in gone],
                values=[None] * len(gone),
                timestamps=[now_ms] * len(gone),
                headers=[header] * len(gone),
            )
        )
    return batches


class Replay:
    """Sorts what is read of a changelog into what counts and what must be repaired. `committed` None: nothing counts."""

    def __init__(self, committed: StateId | None) -> None:
        self._committed = committed
        self._base = -1 if committed is None else committed.base
        self._stamp_prefix = b"" if committed is None else committed.owner.to_bytes(8, "big")
        self._last = b"" if committed is None else _STAMP.pack(committed.owner, committed.checkpoint)
        self.foreign: set[bytes] = set()
        self.is_complete = committed is None
        """The committed checkpoint was seen, or what has replaced it."""

    def take(self, batch: Batch, offsets: Sequence[int]) -> list[Change]:
        """What counts, in order. Keys of what does not are remembered in `foreign`."""
        counted: list[Change] = []
        base, prefix, last = self._base, self._stamp_prefix, self._last
        headers = batch.headers
        for place, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
            if value is None:
                stamp = _stamp_in(headers[place]) if headers is not None else b""
                payload = None
            else:
                stamp, payload = value[:STAMP_BYTES], value[STAMP_BYTES:]
            # Stamps of one owner sort by checkpoint: the number is big endian.
            if offsets[place] < base or (stamp[:8] == prefix and stamp <= last and prefix):
                counted.append(Change(key, payload))
            else:
                self.foreign.add(key)
            if offsets[place] >= base and (stamp >= last or stamp[:8] != prefix):
                self.is_complete = True
        return counted


def _stamp_in(headers: Headers) -> bytes:
    return next((value or b"" for name, value in headers if name == STAMP_HEADER), b"")
