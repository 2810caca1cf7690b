"""Stores on a disk do what storage `memory` does: the same random calls, the same answers, restarts included."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainstem.api.context import PluginContext
from mainstem.api.files import OsFiles
from mainstem.api.storage import LogStore, PartitionLog
from mainstem.testing.conformance.storage_samples import PARTITION, TOPIC_ID, MakeStore, batch_at, span_of
from mainstem_plugins.storage_memory.store import MemoryStore
from mainstem_plugins.storage_segments.store import SegmentStore
from mainstem_plugins.storage_sqlite import SqliteConfig, open_store

STEPS = 120
SEEDS = range(6)


@pytest.fixture(params=["segments", "sqlite", "sqlite without memory"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path, context: PluginContext) -> MakeStore:
    makers: dict[str, Callable[[], LogStore]] = {
        "segments": lambda: SegmentStore(tmp_path, OsFiles(), open_files_max=2),
        "sqlite": lambda: open_store(SqliteConfig(), context, tmp_path),
        "sqlite without memory": lambda: open_store(
            SqliteConfig(cache_bytes_max=0, staging_bytes_max=2000), context, tmp_path
        ),
    }
    return makers[request.param]


class Pair:
    """A log in memory and one on a disk; every call goes to both."""

    def __init__(self, make_store: MakeStore, rng: random.Random) -> None:
        self.make_store = make_store
        self.rng = rng
        self.model: PartitionLog = MemoryStore().open_log(PARTITION, TOPIC_ID)
        self.store = make_store()
        self.log = self.store.open_log(PARTITION, TOPIC_ID, index_interval_bytes=200)

    def both(self, call: Callable[[PartitionLog], Any]) -> None:
        assert call(self.log) == call(self.model)

    @property
    def start(self) -> int:
        return self.model.segments()[0].base_offset

    # Steps, by name.

    def append(self) -> None:
        offset = self.model.end_offset
        batches = []
        for _ in range(self.rng.randint(1, 3)):
            offset += self.rng.choice((0, 0, 0, 0, 3))
            count = self.rng.randint(1, 3)
            payload = self.rng.randbytes(self.rng.choice((1, 50, 600)))
            batches.append(batch_at(offset, count, self.rng.randint(1000, 2000), payload))
            offset += count
        self.both(lambda log: log.append(batches, [span_of(batch) for batch in batches]))

    def roll(self) -> None:
        self.both(lambda log: log.roll(self.model.end_offset))

    def truncate(self) -> None:
        offset = self.rng.randint(max(self.start, self.model.end_offset - 10), self.model.end_offset)
        self.both(lambda log: log.truncate(offset))

    def delete_before(self) -> None:
        offset = self.rng.randint(self.start, self.model.end_offset)
        self.both(lambda log: list(log.delete_before(offset)))

    def reset(self) -> None:
        offset = self.model.end_offset + self.rng.randint(0, 5)
        self.both(lambda log: log.reset(offset))

    def flush(self) -> None:
        self.log.flush()

    def purge(self) -> None:
        self.store.purge()

    def recover(self) -> None:
        # As in `restart`: where a log ends that ends in a gap.
        self.append()
        self.log.recover(self.rng.randint(self.start, self.model.end_offset), lambda header, data: True)

    def put_sidecar(self) -> None:
        offset, content = self.rng.randint(0, 5), self.rng.randbytes(5)
        self.both(lambda log: log.put_sidecar("snapshot", offset, content))

    def delete_sidecar(self) -> None:
        offset = self.rng.randint(0, 5)
        self.both(lambda log: log.delete_sidecar("snapshot", offset))

    def compact(self) -> None:
        """A rewrite of some closed segments; now and then something else happens before it is put in place."""
        bases = [segment.base_offset for segment in self.model.segments()]
        if len(bases) < 2:
            return
        first = self.rng.randrange(len(bases) - 1)
        end = self.rng.randint(first + 1, len(bases) - 1)
        kept = [
            batch_at(offset, timestamp=self.rng.randint(1000, 2000))
            for offset in range(bases[first], bases[end])
            if self.rng.random() < 0.3
        ]
        rewrites = []
        for log in (self.log, self.model):
            rewrite = log.rewrite(bases[first], bases[end])
            for batch in kept:
                rewrite.append((batch,), (span_of(batch),))
            rewrite.finish()
            rewrites.append(rewrite)
        between = self.rng.choice((self.append, self.truncate, self.delete_before, self.purge, None, None, None))
        if between is not None:
            between()
        if self.rng.random() < 0.1:
            for rewrite in rewrites:
                rewrite.abandon()
        elif self.log.replace(rewrites[0]):
            assert self.model.replace(rewrites[1])
        elif between == self.truncate:
            # A store may give up every rewrite then, also those whose segments are still there.
            rewrites[1].abandon()
        else:
            assert not self.model.replace(rewrites[1])

    def restart(self) -> None:
        # A log that was cut in a gap ends there, or with its last batch, when it is read again: both are right.
        self.append()
        self.log.flush()
        self.log.close()
        self.store.close(clean=True)
        self.store = self.make_store()
        assert self.store.was_clean
        self.log = self.store.open_log(PARTITION, TOPIC_ID, index_interval_bytes=200)

    def check(self) -> None:
        self.both(lambda log: log.end_offset)
        self.both(lambda log: log.size)
        self.both(lambda log: log.active_size())
        self.both(lambda log: list(log.segments()))
        self.both(lambda log: {offset: log.get_sidecar("snapshot", offset) for offset in log.sidecars("snapshot")})
        end = self.model.end_offset
        for _ in range(3):
            offset, max_bytes = self.rng.randint(self.start, end), self.rng.choice((1, 300, 5000))
            found, expected = (bytes(log.read(offset, end, max_bytes)) for log in (self.log, self.model))
            # An answer may be shorter, or end in the middle of a batch, but it begins alike.
            common = min(len(found), len(expected))
            assert found[:common] == expected[:common]
            assert bool(found) == bool(expected)
            timestamp = self.rng.randint(900, 2100)
            self.both(lambda log, timestamp=timestamp: log.offset_for_time(timestamp, end))  # type: ignore[misc]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_calls_have_the_answers_of_memory(make_store: MakeStore, seed: int) -> None:
    rng = random.Random(seed)
    pair = Pair(make_store, rng)
    often = [pair.append] * 10 + [pair.roll] * 5 + [pair.compact] * 3
    seldom = [pair.flush, pair.purge, pair.truncate, pair.delete_before, pair.recover, pair.restart]
    sidecars = [pair.put_sidecar, pair.delete_sidecar]
    for number in range(STEPS):
        step = rng.choice([*often, *seldom, *sidecars]) if rng.random() < 0.98 else pair.reset
        try:
            step()
            pair.check()
        except Exception as error:
            raise AssertionError(f"seed {seed}, step {number}: {step.__name__}") from error
