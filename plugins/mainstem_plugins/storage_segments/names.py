"""What the files of a partition's folder are called. Source: Kafka's `LogFileUtils`, 4.1.

00000000000000000042.log          batches from offset 42 on
00000000000000000042.index        offset -> position          ….timeindex   timestamp -> offset
00000000000000000042.txnindex     aborted transactions        ….snapshot    producers at offset 42
….log.cleaned                     being written by compaction: worth nothing
….log.swap                        finished by compaction: takes the place of the segments that it was made from
….log.deleted                     on its way out
"""

from __future__ import annotations

import re
from pathlib import Path

LOG = "log"
INDEX = "index"
TIME_INDEX = "timeindex"
TXN_INDEX = "txnindex"
RANGE = "range"
"""Ours, beside a `.log.swap`: the end of the range of base offsets that it replaces. Kafka passes over it."""
LOOKUPS = (INDEX, TIME_INDEX)

DELETED = ".deleted"
CLEANED = ".cleaned"
SWAP = ".swap"
TEMPORARY = ".tmp"

METADATA_FILE = "partition.metadata"

SEGMENT_FILE = re.compile(r"(\d{20})\.(log|index|timeindex|txnindex|range)")
SIDECAR_FILE = re.compile(r"(\d{20})\.([a-z]+)")


def name_of(base_offset: int, kind: str, suffix: str = "") -> str:
    return f"{base_offset:020d}.{kind}{suffix}"


def path_of(folder: Path, base_offset: int, kind: str, suffix: str = "") -> Path:
    return folder / name_of(base_offset, kind, suffix)
