"""Windows over event time, and how durations are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

UNITS_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def duration_ms(text: str | int) -> int:
    """`"90s"`, `"1.5h"`, `"1d"` or a number of milliseconds, as milliseconds.

    Raises: ValueError saying what a duration looks like.
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    unit_ms = UNITS_MS.get(match[2]) if match else None
    if match is None or unit_ms is None:
        raise ValueError(f"{text!r} is no duration; write a number and one of {', '.join(UNITS_MS)}, such as '5m'")
    return round(float(match[1]) * unit_ms)


def duration_text(ms: int) -> str:
    """The shortest form that `duration_ms` reads: 86400000 is `1d`."""
    for unit in ("w", "d", "h", "m", "s"):
        if ms and ms % UNITS_MS[unit] == 0:
            return f"{ms // UNITS_MS[unit]}{unit}"
    return f"{ms}ms"


@dataclass(frozen=True, slots=True, init=False)
class Tumbling:
    """Windows of one size that follow each other without gap or overlap: `Tumbling("1d")`.

    They start at multiples of the size since 1970 (UTC), moved by `offset`: `Tumbling("1d", offset="5h")`
    are the days of a place five hours behind UTC. A window contains its start and not its end.
    """

    size_ms: int
    offset_ms: int

    def __init__(self, size: str | int, *, offset: str | int = 0) -> None:
        size_ms = duration_ms(size)
        if size_ms < 1:
            raise ValueError(f"a window of {size!r} is empty")
        object.__setattr__(self, "size_ms", size_ms)
        object.__setattr__(self, "offset_ms", duration_ms(offset) % size_ms)

    def starts(self, timestamps: Sequence[int]) -> list[int]:
        """The start (ms) of each timestamp's window."""
        size, offset = self.size_ms, self.offset_ms
        return [timestamp - (timestamp - offset) % size for timestamp in timestamps]

    def starts_of(self, timestamp: int) -> range:
        """The start (ms) of the window that a timestamp lies in."""
        start = timestamp - (timestamp - self.offset_ms) % self.size_ms
        return range(start, start + 1)

    def __str__(self) -> str:
        moved = f", offset {duration_text(self.offset_ms)}" if self.offset_ms else ""
        return f"tumbling {duration_text(self.size_ms)}{moved}"


@dataclass(frozen=True, slots=True, init=False)
class Hopping:
    """Windows of one size, a new one at every `hop`: `Hopping("1h", hop="10m")`. A record lies in size / hop of them."""

    size_ms: int
    hop_ms: int
    offset_ms: int

    def __init__(self, size: str | int, *, hop: str | int, offset: str | int = 0) -> None:
        size_ms, hop_ms = duration_ms(size), duration_ms(hop)
        if not 1 <= hop_ms <= size_ms:
            raise ValueError(
                f"a hop of {hop!r} must be above 0 and at most the size {size!r}, or records would be left out"
            )
        object.__setattr__(self, "size_ms", size_ms)
        object.__setattr__(self, "hop_ms", hop_ms)
        object.__setattr__(self, "offset_ms", duration_ms(offset) % hop_ms)

    def starts_of(self, timestamp: int) -> range:
        """The starts (ms) of all windows that a timestamp lies in, the newest first."""
        newest = timestamp - (timestamp - self.offset_ms) % self.hop_ms
        return range(newest, timestamp - self.size_ms, -self.hop_ms)

    def __str__(self) -> str:
        moved = f", offset {duration_text(self.offset_ms)}" if self.offset_ms else ""
        return f"hopping {duration_text(self.size_ms)} every {duration_text(self.hop_ms)}{moved}"


@dataclass(frozen=True, slots=True, init=False)
class Sliding:
    """One window per record: what its key had in the time of this size up to it, both ends counted (KIP-450)."""

    size_ms: int

    def __init__(self, size: str | int) -> None:
        size_ms = duration_ms(size)
        if size_ms < 1:
            raise ValueError(f"a window of {size!r} is empty")
        object.__setattr__(self, "size_ms", size_ms)

    def __str__(self) -> str:
        return f"sliding {duration_text(self.size_ms)}"


@dataclass(frozen=True, slots=True, init=False)
class Session:
    """Records of one key with less than `gap` between neighbours; it ends that long after its last record."""

    gap_ms: int

    def __init__(self, gap: str | int) -> None:
        gap_ms = duration_ms(gap)
        if gap_ms < 1:
            raise ValueError(f"a gap of {gap!r} is no gap")
        object.__setattr__(self, "gap_ms", gap_ms)

    def __str__(self) -> str:
        return f"session with gap {duration_text(self.gap_ms)}"


@dataclass(frozen=True, slots=True, init=False)
class CountWindow:
    """Every `size` records of one key, in the order in which they come; with `hop`, a new one at every `hop` records."""

    size: int
    hop: int

    def __init__(self, size: int, *, hop: int | None = None) -> None:
        hop = size if hop is None else hop
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"a window of {size!r} records is empty")
        if isinstance(hop, bool) or not isinstance(hop, int) or not 1 <= hop <= size:
            raise ValueError(f"a hop of {hop!r} records must be above 0 and at most {size}")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "hop", hop)

    def __str__(self) -> str:
        return f"{self.size} records" + (f" every {self.hop}" if self.hop != self.size else "")


WindowKind = Tumbling | Hopping | Sliding | Session | CountWindow
