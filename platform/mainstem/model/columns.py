"""Records of one partition side by side, the form in which tools and pipelines handle them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

Headers = Sequence[tuple[str, bytes | None]]


class Columns(msgspec.Struct, kw_only=True):
    """Records of one partition side by side; all lists have the same length. Timestamps in ms."""

    offsets: list[int]
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers]

    def __len__(self) -> int:
        return len(self.offsets)

    def drop_first(self, count: int) -> None:
        for column in (self.offsets, self.timestamps, self.keys, self.values, self.headers):
            del column[:count]
