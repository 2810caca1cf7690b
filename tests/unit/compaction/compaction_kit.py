"""A log in memory that is written, compacted and read by hand, with a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mainstem.api.storage import BatchSpan
from mainstem.core.log.aborted import AbortedTransaction
from mainstem.core.log.compaction import find_cleanable
from mainstem.core.log.offset_map import OffsetMap
from mainstem.core.log.producer_state import LastBatch
from mainstem.core.log.state import LogState
from mainstem.core.log.transactions import build_marker
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT, BatchHeader, iterate, patch_offset, read_header
from mainstem.model.batch_records import read_records
from mainstem.model.compression import Codec
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.runtime.cleaning_pass import CleaningPass, LogView
from mainstem_plugins.storage_memory.store import MemoryLog

START_MS = 1_700_000_000_000


def topic_config(**overrides: str) -> TopicConfig:
    given = {"cleanup_policy": "compact", **overrides}
    return TopicConfig.resolve({k.replace("_", "."): v for k, v in given.items()}, BrokerConfig.from_texts({}))


class Row(NamedTuple):
    """A record as a reader sees it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class CompactedLog:
    """`append`, `end`, `roll` and `compact` change it; `rows` and `committed` read it."""

    def __init__(self, *, map_entries: int = 1_000_000, chunk_bytes: int = 300, **overrides: str) -> None:
        self.log = MemoryLog()
        self.state = LogState()
        self.config = topic_config(**overrides)
        self.now_ms = START_MS
        self.checkpoint: int | None = None
        self.map_entries = map_entries
        self.chunk_bytes = chunk_bytes
        self.sequences: dict[int, int] = {}

    def append_bytes(self, batch: bytes) -> int:
        data = bytearray(batch)
        base = self.log.end_offset
        patch_offset(data, 0, base, 0)
        header = read_header(data)
        self.log.append((data,), (BatchSpan(len(data), base, header.last_offset, header.max_timestamp),))
        if header.producer_id >= 0:
            self.state.apply(header, bytes(data), base, self.now_ms)
        return base

    def append(
        self,
        pairs: Sequence[tuple[bytes | None, bytes | None]],
        *,
        producer_id: int = -1,
        is_transactional: bool = False,
        codec: Codec = Codec.NONE,
    ) -> int:
        sequence = -1
        if producer_id >= 0:
            sequence = self.sequences.get(producer_id, 0)
            self.sequences[producer_id] = sequence + len(pairs)
        return self.append_bytes(
            records.encode(
                [k for k, _ in pairs],
                [v for _, v in pairs],
                [self.now_ms + i for i in range(len(pairs))],
                codec=codec,
                producer_id=producer_id,
                producer_epoch=0 if producer_id >= 0 else -1,
                base_sequence=sequence,
                attributes=TRANSACTIONAL_BIT if is_transactional else 0,
            )
        )

    def end(self, producer_id: int, *, is_commit: bool) -> int:
        return self.append_bytes(build_marker(producer_id, 0, self.now_ms, is_commit=is_commit, coordinator_epoch=0))

    def roll(self) -> None:
        self.log.roll(self.log.end_offset)

    def last_batches(self) -> dict[int, LastBatch]:
        return self.state.producers.last_batches()

    def compact(self) -> CleaningPass:
        end = self.log.end_offset
        stable = self.state.transactions.last_stable_offset(end)
        segments = self.log.segments()
        cleanable = find_cleanable(segments, self.checkpoint, segments[0].base_offset, stable, self.config, self.now_ms)
        aborted = self.state.transactions.aborted
        view = LogView(segments, list(aborted), self.last_batches(), self.config, self.now_ms)
        run = CleaningPass(
            self.log, view, cleanable, OffsetMap(self.map_entries), self.chunk_bytes, lambda size, read: None
        )
        run.build_map()
        for group in run.groups():
            rewritten = run.rewrite(group)
            if rewritten is not None:
                aborted.replace_between(group.base_offset, group.end_offset, rewritten.aborted)
                assert self.log.replace(rewritten.rewrite)
        self.checkpoint = run.end_offset
        return run

    # ------------------------------------------------------------------------------------------------------- reading

    def batches(self, start: int = 0) -> list[tuple[BatchHeader, bytes]]:
        found, offset = [], start
        while offset < self.log.end_offset:
            data = bytes(self.log.read(offset, self.log.end_offset, 1 << 20))
            if not data:
                break
            for position, header in iterate(data):
                found.append((header, data[position : position + header.size]))
                offset = header.next_offset
        return found

    def rows(self, start: int = 0) -> list[Row]:
        """What a read_uncommitted consumer gets from `start` on."""
        return [
            Row(r.offset, r.timestamp, r.key, r.value)
            for header, batch in self.batches(start)
            if not header.is_control
            for r in read_records(batch, header)
            if r.offset >= start
        ]

    def committed(self, start: int = 0, aborted: Sequence[AbortedTransaction] | None = None) -> list[Row]:
        """What a read_committed consumer gets, which skips as Kafka's clients do."""
        entries = self.state.transactions.aborted.overlapping(start, self.log.end_offset)
        waiting = sorted(entries if aborted is None else aborted, key=lambda e: e.first_offset)
        skipped: set[int] = set()
        rows = []
        for header, batch in self.batches(start):
            while waiting and waiting[0].first_offset <= header.last_offset:
                skipped.add(waiting.pop(0).producer_id)
            if header.is_control:
                skipped.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in skipped):
                rows += [
                    Row(r.offset, r.timestamp, r.key, r.value) for r in read_records(batch, header) if r.offset >= start
                ]
        return rows
