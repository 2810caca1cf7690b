"""The contract of `api.partitioner`, tried on one partitioner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.spec import configure

KEYS: tuple[bytes | None, ...] = (b"a", None, b"", b"a", b"\x00\xff", None, "Zürich".encode(), b"k" * 1000)


def check_partitioner(spec: PartitionerSpec, *, is_by_key: bool, **options: Any) -> None:
    """`is_by_key`: equal keys must meet in one partition, in this process and in the next."""
    config = configure(spec.config, options, owner=f"partitioner {spec.name}")
    partitioner = spec.open(config)
    for partition_count in (1, 2, 3, 50, 1, 7):
        for keys in (KEYS, (), (None,) * 5, (b"x",)):
            chosen = partitioner.partition_many("topic", keys, partition_count)
            _check_choice(chosen, keys, partition_count)
            if is_by_key:
                again = spec.open(config).partition_many("other", keys, partition_count)
                _check_by_key(keys, chosen, again)
    used = {partition for _ in range(400) for partition in partitioner.partition_many("topic", KEYS, 4)}
    assert used == {0, 1, 2, 3}, f"of 4 partitions only {sorted(used)} were used by 400 batches"


def _check_choice(chosen: object, keys: Sequence[bytes | None], partition_count: int) -> None:
    assert isinstance(chosen, list), f"partition_many returned {type(chosen).__name__}, not a list"
    assert len(chosen) == len(keys), f"{len(keys)} keys got {len(chosen)} partitions"
    outside = [partition for partition in chosen if not 0 <= partition < partition_count]
    assert not outside, f"{outside} is outside of {partition_count} partitions"


def _check_by_key(keys: Sequence[bytes | None], chosen: Sequence[int], again: Sequence[int]) -> None:
    places: dict[bytes, int] = {}
    for key, partition, repeated in zip(keys, chosen, again, strict=True):
        if key is not None:
            assert places.setdefault(key, partition) == partition, f"{key!r} went to two partitions of one batch"
            assert partition == repeated, f"{key!r} went elsewhere in a new partitioner"
