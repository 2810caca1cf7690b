"""What every storage plugin must do. A plugin's own test suite runs it in five lines:

@pytest.mark.parametrize("check", storage.CHECKS, ids=lambda c: c.__name__)
def test_conforms(check, tmp_path):
    check(lambda: MyStore(tmp_path))          the same place each time: a second call is a restart

Stores that keep their data over a restart run `DURABLE_CHECKS`, which holds the others too.
"""

from __future__ import annotations

from collections.abc import Callable

from mainstem.testing.conformance import storage_borders, storage_places, storage_rewrites
from mainstem.testing.conformance.storage_samples import (
    PARTITION,
    TOPIC_ID,
    MakeStore,
    append,
    batch_at,
    filled,
    offsets_in,
)

__all__ = ["CHECKS", "DURABLE_CHECKS", "PARTITION", "TOPIC_ID", "MakeStore", "append", "batch_at", "offsets_in"]


def check_new_log_is_empty(make_store: MakeStore) -> None:
    log = make_store().open_log(PARTITION, TOPIC_ID)
    assert (log.end_offset, log.size) == (0, 0)
    assert [s.base_offset for s in log.segments()] == [0]
    assert not log.read(0, 0, 1000)


def check_reads_what_was_appended(make_store: MakeStore) -> None:
    _, log = filled(make_store)
    assert log.end_offset == 10
    assert offsets_in(log.read(0, 10, 1 << 20)) == list(range(10))
    assert offsets_in(log.read(7, 10, 1 << 20)) == [7, 8, 9]
    assert not log.read(10, 10, 1000)


def check_read_starts_with_the_batch_that_contains_the_offset(make_store: MakeStore) -> None:
    _, log = filled(make_store, count=4, size=5)
    assert offsets_in(log.read(7, 20, 1 << 20)) == [5, 10, 15]


def check_read_ends_at_the_given_offset(make_store: MakeStore) -> None:
    _, log = filled(make_store)
    assert offsets_in(log.read(2, 6, 1 << 20)) == [2, 3, 4, 5]


def check_first_batch_is_whole_however_small_the_limit(make_store: MakeStore) -> None:
    _, log = filled(make_store)
    assert offsets_in(log.read(3, 10, 1)) == [3]


def check_finds_offsets_by_time(make_store: MakeStore) -> None:
    _, log = filled(make_store)
    assert log.offset_for_time(1004, 10) == 4
    assert log.offset_for_time(0, 10) == 0
    assert log.offset_for_time(1010, 10) is None
    assert log.offset_for_time(1009, 9) is None


def check_rolls_and_reads_across_segments(make_store: MakeStore) -> None:
    _, log = filled(make_store, count=3)
    log.roll(3)
    append(log, batch_at(3, timestamp=2000))
    assert [s.base_offset for s in log.segments()] == [0, 3]
    assert offsets_in(log.read(3, 4, 1000)) == [3]
    assert offsets_in(log.read(1, 4, 1 << 20))[:2] == [1, 2]
    assert log.offset_for_time(1500, 4) == 3


def check_a_read_leaves_no_hole_before_the_next_segment(make_store: MakeStore) -> None:
    """What does not fit any more must not be left out in favour of a smaller batch behind it."""
    log = make_store().open_log(PARTITION, TOPIC_ID)
    append(log, batch_at(0))
    append(log, batch_at(1, payload=b"x" * 1000))
    log.roll(2)
    append(log, batch_at(2))
    for max_bytes in range(1, 1500, 50):
        offsets = offsets_in(log.read(0, 3, max_bytes))
        assert offsets == [0, 1, 2][: len(offsets)]


def check_truncate_cuts_and_appends_go_on(make_store: MakeStore) -> None:
    _, log = filled(make_store)
    log.truncate(6)
    assert log.end_offset == 6
    append(log, batch_at(6, timestamp=9999))
    assert offsets_in(log.read(0, 7, 1 << 20)) == list(range(7))
    assert log.offset_for_time(9999, 7) == 6


def check_delete_before_keeps_the_active_segment(make_store: MakeStore) -> None:
    _, log = filled(make_store, count=3)
    log.roll(3)
    append(log, batch_at(3))
    assert list(log.delete_before(2)) == []
    assert list(log.delete_before(4)) == [0]
    assert [s.base_offset for s in log.segments()] == [3]
    assert offsets_in(log.read(3, 4, 1000)) == [3]


def check_reset_empties_the_log(make_store: MakeStore) -> None:
    _, log = filled(make_store)
    log.reset(100)
    assert (log.end_offset, log.size) == (100, 0)
    append(log, batch_at(100))
    assert offsets_in(log.read(100, 101, 1000)) == [100]


def check_keeps_everything_over_a_restart(make_store: MakeStore) -> None:
    """Durable stores only."""
    store, log = filled(make_store, count=5)
    log.roll(5)
    append(log, batch_at(5, timestamp=7000))
    log.put_sidecar("snapshot", 5, b"state")
    log.flush()
    log.close()
    store.write_checkpoint("recovery-point-offset-checkpoint", {PARTITION: 6})
    store.close(clean=True)
    again = make_store()
    assert again.was_clean
    assert list(again.existing()) == [(PARTITION, TOPIC_ID)]
    assert again.read_checkpoint("recovery-point-offset-checkpoint") == {PARTITION: 6}
    log = again.open_log(PARTITION, TOPIC_ID)
    assert log.end_offset == 6
    assert [s.base_offset for s in log.segments()] == [0, 5]
    assert offsets_in(log.read(0, 5, 1 << 20)) == [0, 1, 2, 3, 4]
    assert log.offset_for_time(7000, 6) == 5
    assert list(log.sidecars("snapshot")) == [5]
    assert log.get_sidecar("snapshot", 5) == b"state"
    append(log, batch_at(6))
    assert offsets_in(log.read(5, 7, 1 << 20)) == [5, 6]
    again.close(clean=False)
    assert not make_store().was_clean


def check_recovery_cuts_before_the_first_refused_batch(make_store: MakeStore) -> None:
    _, log = filled(make_store)
    log.recover(0, lambda header, data: header.base_offset < 4)
    assert log.end_offset == 4
    assert offsets_in(log.read(0, 10, 1 << 20)) == [0, 1, 2, 3]


def check_sidecars_are_kept_by_kind_and_offset(make_store: MakeStore) -> None:
    log = make_store().open_log(PARTITION, TOPIC_ID)
    assert list(log.sidecars("snapshot")) == []
    log.put_sidecar("snapshot", 10, b"ten")
    log.put_sidecar("snapshot", 3, b"three")
    log.put_sidecar("leader-epoch-checkpoint", 0, b"0\n0\n")
    assert list(log.sidecars("snapshot")) == [3, 10]
    log.delete_sidecar("snapshot", 3)
    assert list(log.sidecars("snapshot")) == [10]
    assert log.get_sidecar("leader-epoch-checkpoint", 0) == b"0\n0\n"


def check_deleted_logs_are_gone(make_store: MakeStore) -> None:
    store, log = filled(make_store)
    log.close()
    store.delete_log(PARTITION)
    assert list(store.existing()) == []
    assert store.open_log(PARTITION, TOPIC_ID).end_offset == 0


CHECKS: tuple[Callable[[MakeStore], None], ...] = (
    check_new_log_is_empty,
    check_reads_what_was_appended,
    check_read_starts_with_the_batch_that_contains_the_offset,
    check_read_ends_at_the_given_offset,
    check_first_batch_is_whole_however_small_the_limit,
    check_finds_offsets_by_time,
    check_rolls_and_reads_across_segments,
    check_a_read_leaves_no_hole_before_the_next_segment,
    check_truncate_cuts_and_appends_go_on,
    check_delete_before_keeps_the_active_segment,
    check_reset_empties_the_log,
    check_recovery_cuts_before_the_first_refused_batch,
    check_sidecars_are_kept_by_kind_and_offset,
    check_deleted_logs_are_gone,
    *storage_borders.CHECKS,
    *storage_rewrites.CHECKS,
    *storage_places.CHECKS,
)
DURABLE_CHECKS = (
    *CHECKS,
    check_keeps_everything_over_a_restart,
    *storage_borders.DURABLE_CHECKS,
    *storage_rewrites.DURABLE_CHECKS,
    *storage_places.DURABLE_CHECKS,
)
