"""Power goes at every single call that changes the disk, in many ways; nothing acknowledged may be missing afterwards."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import StorageError
from mainstem.runtime.partition_opening import open_log, recover_log
from mainstem.testing.conformance.storage import PARTITION, TOPIC_ID, append, batch_at
from mainstem.testing.crashing_files import CrashingFiles, PowerLoss
from mainstem_plugins.storage_segments.store import SegmentStore

FOLDER = Path("/data")
CONFIG = TopicConfig.resolve({}, BrokerConfig.from_texts({}))


def write_until_power_loss(files: CrashingFiles, rng: random.Random) -> tuple[list[bytes], int]:
    """Returns every batch that was handed to the log, in order, and how many of them were flushed."""
    written: list[bytes] = []
    acknowledged = 0
    try:
        store = SegmentStore(FOLDER, files, open_files_max=2)
        log = store.open_log(PARTITION, TOPIC_ID)
        for offset in range(14):
            if offset and rng.random() < 0.25:
                log.roll(offset)
            batch = batch_at(offset, timestamp=1000 + offset, payload=rng.randbytes(rng.randint(1, 60)))
            written.append(bytes(batch))
            append(log, batch)
            if rng.random() < 0.5:
                log.flush()
                acknowledged = len(written)
        log.flush()
        acknowledged = len(written)
        log.close()
        store.write_checkpoint("recovery-point-offset-checkpoint", {PARTITION: log.end_offset})
        store.close(clean=True)
    except PowerLoss:
        pass
    return written, acknowledged


def recovered_batches(files: CrashingFiles) -> list[bytes]:
    store = SegmentStore(FOLDER, files, open_files_max=2)
    if not store.existing():
        return []
    if store.was_clean:
        log = open_log(store, PARTITION, TOPIC_ID, CONFIG, 0).log
    else:
        log = recover_log(store, PARTITION, TOPIC_ID, CONFIG, 0, recovery_point=0).log
    found, offset = [], log.segments()[0].base_offset
    while offset < log.end_offset:
        data = log.read(offset, log.end_offset, 1)
        found.append(bytes(data))
        offset += 1
    return found


def lost_records(crash_at: int, seed: int, *, lies_about_sync: bool = False) -> bool:
    rng = random.Random(f"{crash_at}/{seed}")
    files = CrashingFiles(crash_at, lies_about_sync=lies_about_sync)
    written, acknowledged = write_until_power_loss(files, rng)
    try:
        found = recovered_batches(files.after_crash(rng))
    except StorageError:
        return True
    return found != written[: len(found)] or len(found) < acknowledged


CALLS = 120


@pytest.mark.parametrize("crash_at", range(1, CALLS))
def test_acknowledged_batches_survive_and_nothing_torn_is_served(crash_at: int) -> None:
    assert [seed for seed in range(25) if lost_records(crash_at, seed)] == []


def test_the_workload_ends_before_the_last_crash_point() -> None:
    """Otherwise the test above would not have seen every call."""
    assert all(write_until_power_loss(f := CrashingFiles(), random.Random(s))[1] and f.calls < CALLS for s in range(25))


def test_a_store_that_does_not_sync_is_found_out() -> None:
    """The planted bug: without it nobody knows that the test can fail."""
    assert any(lost_records(crash_at, seed, lies_about_sync=True) for crash_at in range(1, CALLS) for seed in range(5))
