"""`.index`, `.timeindex`, `.txnindex` and `.snapshot` files for `mainstem dump-log`, checked against the log beside them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mainstem.cli.dump_batches import read_batch
from mainstem.cli.dump_lines import DumpError, Findings, Line
from mainstem.core.log.aborted import ENTRY_VERSION, decode_index
from mainstem.core.log.producer_state import ProducerStates
from mainstem.model.batch import BatchHeader, read_header

_OFFSET_ENTRY = struct.Struct(">ii")
_TIME_ENTRY = struct.Struct(">qi")
NO_TIMESTAMP = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """`is_silent` checks without printing entries."""

    is_sanity_check: bool = False
    is_silent: bool = False
    message_bytes_max: int = 5 * 1024 * 1024


def dump_offset_index(path: Path, options: IndexOptions, findings: Findings) -> Iterator[Line]:
    """Raises: DumpError, OSError."""
    base = _base_offset(path)
    entries = _entries(path, _OFFSET_ENTRY)
    if not entries:
        yield Line(f"{path} is empty.", {"is_empty": True})
        return
    if options.is_sanity_check:
        yield _sane(path, base + entries[-1][0] > base)
        return
    with path.with_suffix(".log").open("rb") as log:
        for slot, (relative, position) in enumerate(entries):
            # Kafka makes its index files large in advance; after a crash zeros may follow the last entry.
            if relative == 0 and slot > 0:
                return
            header = _header_at(log, position)
            found = header.last_offset if header is not None else -1
            if found != base + relative:
                text = f"Index offset: {base + relative}, log offset: {found}"
                findings.add("Mismatches in :{}", path.absolute().as_posix(), text)
            if not options.is_silent:
                facts: dict[str, object] = {"offset": base + relative, "position": position}
                yield Line(f"offset: {base + relative} position: {position}", facts)


def dump_time_index(path: Path, options: IndexOptions, findings: Findings) -> Iterator[Line]:
    """Raises: DumpError, OSError."""
    base = _base_offset(path)
    entries = _entries(path, _TIME_ENTRY)
    if not entries:
        yield Line(f"{path} is empty.", {"is_empty": True})
        return
    if options.is_sanity_check:
        yield _sane(path, entries[-1][1] >= 0 and entries[-1][0] >= entries[0][0])
        return
    name, before = path.absolute().as_posix(), NO_TIMESTAMP
    with path.with_suffix(".log").open("rb") as log:
        headers = _headers(log)
        header: BatchHeader | None = None
        for slot, (timestamp, relative) in enumerate(entries):
            offset = base + relative
            if relative == 0 and slot > 0:
                return
            while header is None or header.last_offset < offset:
                header = next(headers, None)
                if header is None:
                    break
            if header is None or header.last_offset != offset:
                found = header.last_offset if header is not None else -1
                text = f"Indexed offset: {offset}, found log offset: {found}"
                findings.add("The following indexed offsets are not found in the log. {}", name, text)
            elif header.max_timestamp != timestamp:
                text = f"Index timestamp: {timestamp}, log timestamp: {header.max_timestamp}"
                findings.add("Found timestamp mismatch in :{}", name, text)
            if before >= timestamp:
                text = f"Index timestamp: {timestamp}, Previously indexed timestamp: {before}"
                findings.add("Found out of order timestamp in :{}", name, text)
            if not options.is_silent:
                yield Line(f"timestamp: {timestamp} offset: {offset}", {"timestamp": timestamp, "offset": offset})
            before = timestamp


def dump_transaction_index(path: Path) -> Iterator[Line]:
    """Raises: DumpError, OSError."""
    try:
        entries = decode_index(path.read_bytes())
    except ValueError as error:
        raise DumpError(str(path), str(error)) from error
    for entry in entries:
        yield _facts_line(
            {
                "version": ENTRY_VERSION,
                "producerId": entry.producer_id,
                "firstOffset": entry.first_offset,
                "lastOffset": entry.last_offset,
                "lastStableOffset": entry.last_stable_offset,
            }
        )


def dump_producer_snapshot(path: Path) -> Iterator[Line]:
    """Raises: DumpError, OSError."""
    states = ProducerStates.decode_snapshot(path.read_bytes())
    if states is None:
        raise DumpError(str(path), "Snapshot is corrupt (CRC is no longer valid)")
    for producer_id, entry in states.entries.items():
        first = entry.current_txn_first_offset
        facts: dict[str, object] = {
            "producerId": producer_id,
            "producerEpoch": entry.epoch,
            "coordinatorEpoch": entry.coordinator_epoch,
            "currentTxnFirstOffset": f"OptionalLong[{first}]" if first >= 0 else "OptionalLong.empty",
            "lastTimestamp": entry.last_timestamp,
        }
        if entry.batches:
            batch = entry.batches[-1]
            facts |= {
                "firstSequence": batch.first_sequence,
                "lastSequence": batch.last_sequence,
                "lastOffset": batch.last_offset,
                "offsetDelta": batch.last_offset - batch.first_offset,
                "timestamp": entry.last_timestamp,
            }
        yield _facts_line(facts)


def _facts_line(facts: dict[str, object]) -> Line:
    return Line(" ".join(f"{name}: {fact}" for name, fact in facts.items()), facts)


def _base_offset(path: Path) -> int:
    try:
        return int(path.name.partition(".")[0])
    except ValueError:
        raise DumpError(str(path), "the name of an index begins with the base offset of its log") from None


def _entries(path: Path, layout: struct.Struct) -> list[tuple[int, int]]:
    content = path.read_bytes()
    if len(content) % layout.size:
        raise DumpError(
            str(path), f"Index file is corrupt, found {len(content)} bytes which is not a multiple of {layout.size}"
        )
    return [(first, second) for first, second in layout.iter_unpack(content)]


def _sane(path: Path, is_sane: bool) -> Line:
    if not is_sane:
        raise DumpError(str(path), "Index file is corrupt: its last entry is not above its base offset")
    return Line(f"{path} passed sanity check.", {"passed_sanity_check": True})


def _header_at(log: BinaryIO, position: int) -> BatchHeader | None:
    size = log.seek(0, 2)
    batch = read_batch(log, position, size)
    return read_header(batch) if batch is not None else None


def _headers(log: BinaryIO) -> Iterator[BatchHeader]:
    size, position = log.seek(0, 2), 0
    while (batch := read_batch(log, position, size)) is not None:
        header = read_header(batch)
        yield header
        position += header.size
