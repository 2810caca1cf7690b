"""Checks of what compaction does to a log: closed segments written anew, put in place, or given up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from mainstem.api.storage import PartitionLog, SegmentRewrite
from mainstem.model.batch import iterate
from mainstem.model.errors import StorageError
from mainstem.testing.conformance.storage_samples import (
    PARTITION,
    TOPIC_ID,
    MakeStore,
    append,
    assert_sizes_agree,
    batch_at,
    in_segments,
    offsets_in,
    read_all,
    span_of,
)

SEGMENTS = ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9))


def rewritten(log: PartitionLog, first_base: int, end_base: int, kept: Iterable[int]) -> SegmentRewrite:
    rewrite = log.rewrite(first_base, end_base)
    for offset in kept:
        batch = batch_at(offset, timestamp=1000 + offset)
        rewrite.append((batch,), (span_of(batch),))
    rewrite.finish()
    return rewrite


def check_a_rewrite_takes_the_place_of_its_segments(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, *SEGMENTS)
    rewrite = rewritten(log, 0, 8, (2, 7))
    assert read_all(log) == list(range(10)), "nobody sees a rewrite before it is put in place"
    assert log.replace(rewrite)
    assert [segment.base_offset for segment in log.segments()] == [0, 8]
    assert (read_all(log), log.end_offset) == ([2, 7, 8, 9], 10)
    assert [offsets_in(log.read(offset, 10, 1)) for offset in (0, 2, 3, 7, 8)] == [[2], [2], [7], [7], [8]]
    assert [log.offset_for_time(1000 + offset, 10) for offset in (0, 3, 8)] == [2, 7, 8]
    assert_sizes_agree(log)
    append(log, batch_at(10))
    assert read_all(log) == [2, 7, 8, 9, 10]


def check_a_rewrite_in_the_middle(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, *SEGMENTS)
    log.flush()
    assert log.replace(rewritten(log, 4, 8, (5,)))
    assert [segment.base_offset for segment in log.segments()] == [0, 4, 8]
    assert read_all(log, 1) == [0, 1, 2, 3, 5, 8, 9]
    assert log.replace(rewritten(log, 0, 8, (1, 5)))
    assert [segment.base_offset for segment in log.segments()] == [0, 8]
    assert read_all(log) == [1, 5, 8, 9]
    assert_sizes_agree(log)


def check_an_empty_rewrite_leaves_an_empty_segment(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, *SEGMENTS)
    assert log.replace(rewritten(log, 0, 8, ()))
    assert log.segments()[0][:2] == (0, 0)
    assert offsets_in(log.read(0, 10, 1)) == [8]
    assert not log.read(0, 8, 1000)
    assert log.offset_for_time(0, 10) == 8
    assert read_all(log) == [8, 9]
    assert list(log.delete_before(8)) == [0]
    assert_sizes_agree(log)


def check_a_rewrite_of_the_active_segment_is_refused(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, *SEGMENTS)
    try:
        log.rewrite(8, 1 << 60)
    except StorageError:
        pass
    else:
        raise AssertionError("the active segment was given out for rewriting")
    assert log.replace(rewritten(log, 4, 1 << 60, (6,)))
    assert read_all(log) == [0, 1, 2, 3, 6, 8, 9]


def check_a_rewrite_of_segments_that_are_gone_is_given_up(make_store: MakeStore) -> None:
    takers: tuple[tuple[Callable[[PartitionLog], object], list[int]], ...] = (
        (lambda log: log.delete_before(4), [4, 5, 6, 7, 8, 9]),
        (lambda log: log.truncate(6), [0, 1, 2, 3, 4, 5]),
        (lambda log: log.truncate(2), [0, 1]),
        (lambda log: log.reset(50), []),
    )
    store = make_store()
    for number, (take, left) in enumerate(takers):
        log = store.open_log(PARTITION._replace(partition=number), TOPIC_ID)
        for offset in range(10):
            if offset in (4, 8):
                log.roll(offset)
            append(log, batch_at(offset))
        rewrite = rewritten(log, 0, 8, (2, 7))
        take(log)
        assert not log.replace(rewrite)
        assert read_all(log) == left
        assert_sizes_agree(log)
    store.purge()


def check_an_abandoned_rewrite_leaves_nothing(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, *SEGMENTS)
    log.rewrite(0, 8).abandon()
    rewrite = log.rewrite(0, 8)
    batch = batch_at(3)
    rewrite.append((batch,), (span_of(batch),))
    rewrite.abandon()
    rewritten(log, 0, 8, (3,)).abandon()
    store.purge()
    assert read_all(log) == list(range(10))
    assert log.replace(rewritten(log, 0, 8, (3,)))
    assert read_all(log) == [3, 8, 9]


def check_readers_go_on_over_a_replacement(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, *SEGMENTS)
    log.flush()
    found: list[int] = []
    offset = 0
    while offset < log.end_offset:
        *_, (_, last) = iterate(log.read(offset, log.end_offset, 1))
        found.append(last.base_offset)
        offset = last.next_offset
        if last.base_offset == 1:
            assert log.replace(rewritten(log, 0, 8, (1, 6)))
            store.purge()
    assert found == [0, 1, 6, 8, 9]


def check_threads_read_beside_replacements(make_store: MakeStore) -> None:
    """A thread reads the log from its start again and again, while rewrites made in this thread take their places."""
    store, log = in_segments(make_store, *(tuple(range(base, base + 10)) for base in range(0, 100, 10)))
    log.flush()
    is_done = threading.Event()
    failures: list[BaseException] = []
    always = set(range(90, 100))

    def read() -> None:
        try:
            while not is_done.wait(0.0005):
                found = read_all(log, 300)
                assert found == sorted(found)
                assert always <= set(found), found
        except BaseException as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for base in range(0, 90, 10):
            assert log.replace(rewritten(log, base, base + 10, range(base, base + 10, 3)))
            log.flush()
            store.purge()
    finally:
        is_done.set()
        reader.join()
    assert failures == []


def check_a_replacement_survives_a_restart(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, *SEGMENTS)
    assert log.replace(rewritten(log, 0, 8, (2, 7)))
    log.flush()
    log.close()
    store.close(clean=True)
    store = make_store()
    log = store.open_log(PARTITION, TOPIC_ID)
    assert [segment.base_offset for segment in log.segments()] == [0, 8]
    assert (read_all(log), log.end_offset) == ([2, 7, 8, 9], 10)
    store.purge()
    assert read_all(log) == [2, 7, 8, 9]
    assert_sizes_agree(log)


def check_an_unplaced_rewrite_is_forgotten_or_in_place_after_a_restart(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, *SEGMENTS)
    log.flush()
    log.rewrite(0, 8)
    rewritten(log, 0, 8, (2, 7))
    log.close()
    store.close(clean=True)
    store = make_store()
    log = store.open_log(PARTITION, TOPIC_ID)
    found = read_all(log)
    assert found in (list(range(10)), [2, 7, 8, 9])
    store.purge()
    assert read_all(log) == found
    assert log.replace(rewritten(log, 0, 8, (3,)))
    assert read_all(log) == [3, 8, 9]


CHECKS: tuple[Callable[[MakeStore], None], ...] = (
    check_a_rewrite_takes_the_place_of_its_segments,
    check_a_rewrite_in_the_middle,
    check_an_empty_rewrite_leaves_an_empty_segment,
    check_a_rewrite_of_the_active_segment_is_refused,
    check_a_rewrite_of_segments_that_are_gone_is_given_up,
    check_an_abandoned_rewrite_leaves_nothing,
    check_readers_go_on_over_a_replacement,
    check_threads_read_beside_replacements,
)
DURABLE_CHECKS: tuple[Callable[[MakeStore], None], ...] = (
    check_a_replacement_survives_a_restart,
    check_an_unplaced_rewrite_is_forgotten_or_in_place_after_a_restart,
)
