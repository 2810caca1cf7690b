"""What joins of two streams remember: the records of each side, by time.

The store has a group for each side and stretch of event time, `2 * stretch + side`, so that old ones go without a scan; in it,
per key, the records of that stretch: `[time, value, was matched]` in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mainstem.pipeline.state.store import Store

TIME, VALUE, IS_MATCHED = 0, 1, 2
LEFT_SIDE, RIGHT_SIDE = 0, 1


class Kept(NamedTuple):
    key: Any
    record: list[Any]


class BufferedSides:
    """`stretch_ms`: about how long records are needed."""

    def __init__(self, store: Store, stretch_ms: int) -> None:
        self._store = store
        self._stretch_ms = max(1, stretch_ms)

    def add(self, side: int, key: Any, time: int, value: Any, *, is_matched: bool) -> None:
        group = self._group(side, time)
        self._store.load(group, (key,)).setdefault(key, []).append([time, value, is_matched])
        self._store.touch(group, (key,))

    def _group(self, side: int, time: int) -> int:
        return 2 * (time // self._stretch_ms) + side

    def between(self, side: int, key: Any, first_ms: int, last_ms: int) -> Iterator[list[Any]]:
        """Records of a key with a time from first to last, both counted, in order of time, then of arrival."""
        found: list[list[Any]] = []
        for stretch in range(first_ms // self._stretch_ms, last_ms // self._stretch_ms + 1):
            group = 2 * stretch + side
            records = self._store.load(group, (key,)).get(key, ())
            found += [record for record in records if first_ms <= record[TIME] <= last_ms]
        found.sort(key=lambda record: record[TIME])
        return iter(found)

    def mark_matched(self, side: int, key: Any, record: list[Any]) -> None:
        if not record[IS_MATCHED]:
            record[IS_MATCHED] = True
            self._store.touch(self._group(side, record[TIME]), (key,))

    def drop_before(self, side: int, time_ms: int) -> list[Kept]:
        """Forget what is older; returns what of it was never matched, in order of time."""
        unmatched: list[Kept] = []
        for group in sorted(self._store.groups()):
            if group % 2 != side or group // 2 * self._stretch_ms >= time_ms:
                continue
            held = self._store.load_all(group)
            if (group // 2 + 1) * self._stretch_ms <= time_ms:
                unmatched += [Kept(key, record) for key, records in held.items() for record in records]
                self._store.drop(group)
                continue
            for key in list(held):
                old = [record for record in held[key] if record[TIME] < time_ms]
                if old:
                    unmatched += [Kept(key, record) for record in old]
                    held[key] = [record for record in held[key] if record[TIME] >= time_ms]
                    if not held[key]:
                        del held[key]
                    self._store.touch(group, (key,))
        waiting = [kept for kept in unmatched if not kept.record[IS_MATCHED]]
        waiting.sort(key=lambda kept: kept.record[TIME])
        return waiting
