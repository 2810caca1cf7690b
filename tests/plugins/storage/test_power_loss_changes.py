"""Power goes at every call of a truncation, a compaction, a retention, a deletion: one state or the other, never a mixture."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstem.api.storage import LogStore, PartitionLog
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.ids import TopicId
from mainstem.runtime.partition_opening import open_log, recover_log
from mainstem.testing.conformance.storage_samples import PARTITION, TOPIC_ID, batch_at, span_of
from mainstem.testing.crashing_files import CrashingFiles, PowerLoss
from mainstem_plugins.storage_segments.store import SegmentStore

FOLDER = Path("/data")
PLAIN = TopicConfig.resolve({}, BrokerConfig.from_texts({}))
COMPACTED = TopicConfig.resolve({"cleanup.policy": "compact"}, BrokerConfig.from_texts({}))
OTHER_ID = TopicId(bytes(range(16, 32)))
SEEDS = 4
OLD = [bytes(batch_at(n, timestamp=1000 + n, payload=b"old %d" % n)) for n in range(12)]


class Outcome:
    """How far a scenario came: `acknowledged` grows as flushes return, `stage` is what has been done for certain."""

    def __init__(self) -> None:
        self.stage = "new"
        self.acknowledged = 0


def append(log: PartitionLog, batch: bytes) -> None:
    log.append((batch,), (span_of(batch),))


def make_store(files: CrashingFiles) -> LogStore:
    return SegmentStore(FOLDER, files, open_files_max=2)


def filled(store: LogStore, topic_id: TopicId = TOPIC_ID) -> PartitionLog:
    """Three segments of four batches, flushed."""
    log = store.open_log(PARTITION, topic_id)
    for n, batch in enumerate(OLD):
        if n in (4, 8):
            log.flush()
            log.roll(n)
        append(log, batch)
    log.flush()
    return log


def found_after(files: CrashingFiles, config: TopicConfig, topic_id: TopicId = TOPIC_ID) -> list[bytes]:
    store = make_store(files)
    if store.was_clean:
        log = open_log(store, PARTITION, topic_id, config, 0).log
    else:
        log = recover_log(store, PARTITION, topic_id, config, 0, recovery_point=0).log
    found, offset = [], log.segments()[0].base_offset
    while offset < log.end_offset:
        data = bytes(log.read(offset, log.end_offset, 1))
        if not data:
            break
        found.append(data)
        offset = span_of(data).last_offset + 1
    return found


def crash_everywhere(
    scenario: Callable[[CrashingFiles, Outcome], None],
    judge: Callable[[CrashingFiles, Outcome], bool],
    *,
    has_sync_all: bool,
) -> None:
    """Until the scenario comes to its end."""
    crash_at, is_done = 0, False
    while not is_done:
        crash_at += 1
        for seed in range(SEEDS):
            files, outcome = CrashingFiles(crash_at, has_sync_all=has_sync_all), Outcome()
            try:
                scenario(files, outcome)
                is_done = True
            except PowerLoss:
                pass
            survivor = files.after_crash(random.Random(f"{crash_at}/{seed}"))
            assert judge(survivor, outcome), f"crash at call {crash_at}, seed {seed}, after {outcome.stage}"
    assert crash_at > 20


@pytest.mark.parametrize("has_sync_all", [True, False])
@pytest.mark.parametrize("offset", [2, 5, 8])
def test_truncate_and_append(has_sync_all: bool, offset: int) -> None:
    """What a truncation took never stands behind what was appended after it, wherever the new batches end."""
    new = [bytes(batch_at(offset + n, timestamp=5000, payload=b"new")) for n in range(6)]

    def scenario(files: CrashingFiles, outcome: Outcome) -> None:
        log = filled(make_store(files))
        outcome.stage = "filled"
        log.truncate(offset)
        outcome.stage = "truncated"
        for n, batch in enumerate(new):
            append(log, batch)
            if n % 2:
                log.flush()
                outcome.acknowledged = n + 1

    def judge(survivor: CrashingFiles, outcome: Outcome) -> bool:
        found = found_after(survivor, PLAIN)
        after = OLD[:offset] + new
        least = offset + outcome.acknowledged if outcome.stage != "new" else 0
        is_after = found == after[: len(found)] and len(found) >= least
        return is_after or (outcome.stage != "truncated" and found == OLD[: len(found)] and len(found) >= least)

    crash_everywhere(scenario, judge, has_sync_all=has_sync_all)


@pytest.mark.parametrize("has_sync_all", [True, False])
@pytest.mark.parametrize("kept", [[0, 3, 5], [], [7]])
def test_rewrite_and_replace(has_sync_all: bool, kept: list[int]) -> None:
    more = [bytes(batch_at(12 + n, payload=b"more")) for n in range(3)]

    def scenario(files: CrashingFiles, outcome: Outcome) -> None:
        store = make_store(files)
        log = filled(store)
        outcome.stage = "filled"
        rewrite = log.rewrite(0, 8)
        for n in kept:
            rewrite.append((OLD[n],), (span_of(OLD[n]),))
        rewrite.finish()
        assert log.replace(rewrite)
        for batch in more[:2]:
            append(log, batch)
        log.flush()
        outcome.acknowledged = 2
        store.purge()
        outcome.stage = "purged"
        append(log, more[2])
        log.flush()
        outcome.acknowledged = 3
        log.close()
        store.close(clean=True)

    def judge(survivor: CrashingFiles, outcome: Outcome) -> bool:
        found = found_after(survivor, COMPACTED)
        compacted = [OLD[n] for n in kept] + OLD[8:] + more
        least = len(more) - outcome.acknowledged
        if outcome.stage == "new":
            return found == OLD[: len(found)]
        is_new = found == compacted[: len(found)] and len(found) >= len(compacted) - least
        is_old = found == (OLD + more)[: len(found)] and len(found) >= len(OLD + more) - least
        return is_new or (is_old and outcome.stage != "purged")

    crash_everywhere(scenario, judge, has_sync_all=has_sync_all)


def test_truncate_while_a_rewrite_waits() -> None:
    """A finished rewrite that was never put in place must not come back over what was written after a truncation."""
    new = [bytes(batch_at(2 + n, payload=b"new")) for n in range(4)]

    def scenario(files: CrashingFiles, outcome: Outcome) -> None:
        log = filled(make_store(files))
        rewrite = log.rewrite(0, 8)
        rewrite.append((OLD[0],), (span_of(OLD[0]),))
        rewrite.finish()
        log.truncate(2)
        outcome.stage = "truncated"
        for batch in new:
            append(log, batch)
        log.flush()
        outcome.acknowledged = len(new)
        assert not log.replace(rewrite)

    def judge(survivor: CrashingFiles, outcome: Outcome) -> bool:
        found = found_after(survivor, COMPACTED)
        if outcome.stage == "truncated":
            return found == (OLD[:2] + new)[: len(found)] and len(found) >= 2 + outcome.acknowledged
        return found[:1] == OLD[:1] or found == []

    crash_everywhere(scenario, judge, has_sync_all=True)


@pytest.mark.parametrize("has_sync_all", [True, False])
def test_delete_before(has_sync_all: bool) -> None:
    more = [bytes(batch_at(12 + n, payload=b"more")) for n in range(2)]

    def scenario(files: CrashingFiles, outcome: Outcome) -> None:
        store = make_store(files)
        log = filled(store)
        outcome.stage = "filled"
        assert list(log.delete_before(9)) == [0, 4]
        append(log, more[0])
        log.flush()
        outcome.acknowledged = 1
        store.purge()
        append(log, more[1])
        log.flush()
        outcome.acknowledged = 2

    def judge(survivor: CrashingFiles, outcome: Outcome) -> bool:
        found = found_after(survivor, COMPACTED)
        everything = OLD + more
        if outcome.stage == "new":
            return found == OLD[: len(found)]
        needed = everything[8 : 12 + outcome.acknowledged]
        return found == [b for b in everything if b in found] and all(batch in found for batch in needed)

    crash_everywhere(scenario, judge, has_sync_all=has_sync_all)


@pytest.mark.parametrize("has_sync_all", [True, False])
def test_delete_log_and_create_another_of_that_name(has_sync_all: bool) -> None:
    """The records of a deleted topic never show up in the next topic of that name."""
    new = [bytes(batch_at(n, payload=b"new")) for n in range(3)]

    def scenario(files: CrashingFiles, outcome: Outcome) -> None:
        store = make_store(files)
        filled(store).close()
        outcome.stage = "filled"
        store.delete_log(PARTITION)
        log = store.open_log(PARTITION, OTHER_ID)
        for batch in new:
            append(log, batch)
        log.flush()
        outcome.acknowledged = len(new)
        store.purge()
        log.close()
        store.close(clean=True)

    def judge(survivor: CrashingFiles, outcome: Outcome) -> bool:
        if outcome.stage == "new":
            return True
        found = found_after(survivor, PLAIN, OTHER_ID)
        return found == new[: len(found)] and len(found) >= outcome.acknowledged

    crash_everywhere(scenario, judge, has_sync_all=has_sync_all)


def test_small_files_are_whole_or_as_before() -> None:
    """Checkpoints, properties and sidecars: the content of before or of after, and after the flush that of after."""

    def scenario(files: CrashingFiles, outcome: Outcome) -> None:
        store = make_store(files)
        log = filled(store)
        log.put_sidecar("snapshot", 12, b"first")
        log.flush()
        store.write_properties({"cluster.id": "c"})
        outcome.stage = "written"
        store.write_checkpoint("recovery-point-offset-checkpoint", {PARTITION: 12})
        outcome.acknowledged = 1
        log.put_sidecar("snapshot", 12, b"second")
        log.flush()
        outcome.acknowledged = 2

    def judge(survivor: CrashingFiles, outcome: Outcome) -> bool:
        if outcome.stage == "new":
            return True
        store = make_store(survivor)
        points = store.read_checkpoint("recovery-point-offset-checkpoint")
        snapshot = store.open_log(PARTITION, TOPIC_ID).get_sidecar("snapshot", 12)
        return (
            store.read_properties() == {"cluster.id": "c"}
            and points in ({PARTITION: 12}, {} if outcome.acknowledged == 0 else {PARTITION: 12})
            and snapshot in (b"second", b"first" if outcome.acknowledged < 2 else b"second")
        )

    crash_everywhere(scenario, judge, has_sync_all=True)
