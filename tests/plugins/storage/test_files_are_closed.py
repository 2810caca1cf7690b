"""What a log has given up is closed: an open file keeps its room on the disk, whatever its name is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstem.api.files import OsFiles
from mainstem.api.storage import PartitionLog
from mainstem.testing.conformance.storage import PARTITION, TOPIC_ID, append, batch_at
from mainstem_plugins.storage_segments.store import SegmentStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at open files in /proc")


def open_log_files(folder: Path) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith(f"{folder}/") and ".log" in target:
            found.append(target)
    return sorted(found)


def filled(store: SegmentStore, segments: int) -> PartitionLog:
    """One batch a segment; each was written, and read as well."""
    log = store.open_log(PARTITION, TOPIC_ID)
    for offset in range(segments):
        if offset:
            log.roll(offset)
        append(log, batch_at(offset))
        assert log.read(offset, offset + 1, 1000)
    return log


def replace_all(log: PartitionLog) -> None:
    rewrite = log.rewrite(0, 9)
    rewrite.finish()
    assert log.replace(rewrite)


@pytest.mark.parametrize(
    ("give_up", "left"),
    [
        (lambda log: log.delete_before(9), 1),
        (lambda log: log.truncate(1), 2),
        (lambda log: log.reset(100), 1),
        (replace_all, 2),
    ],
    ids=["delete_before", "truncate", "reset", "replace"],
)
@pytest.mark.parametrize("is_flushed", [True, False], ids=["flushed", "not flushed"])
def test_segments_that_went_are_closed(
    tmp_path: Path, give_up: Callable[[PartitionLog], object], left: int, is_flushed: bool
) -> None:
    store = SegmentStore(tmp_path, OsFiles(), open_files_max=100)
    log = filled(store, 10)
    if is_flushed:
        log.flush()
    give_up(log)
    log.flush()
    store.purge()
    assert len(open_log_files(tmp_path)) == left
    assert not any("deleted" in name for name in open_log_files(tmp_path))
