"""Checks at the borders: many segments, gaps between batches, cuts, huge batches, and threads beside the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mainstem.api.files import WouldBlock
from mainstem.model.batch import HEADER_BYTES
from mainstem.testing.conformance.storage_samples import (
    PARTITION,
    TOPIC_ID,
    MakeStore,
    append,
    assert_sizes_agree,
    batch_at,
    filled,
    in_segments,
    offsets_in,
    read_all,
    span_of,
)

HUGE_BYTES = 5 << 20


def check_one_append_takes_many_batches(make_store: MakeStore) -> None:
    log = make_store().open_log(PARTITION, TOPIC_ID)
    batches = [batch_at(offset, count=2, timestamp=1000 + offset) for offset in range(0, 20, 2)]
    log.append(batches, [span_of(batch) for batch in batches])
    joined = b"".join(batch_at(offset) for offset in range(20, 25))
    log.append((joined,), [span_of(batch_at(offset)) for offset in range(20, 25)])
    assert log.end_offset == 25
    assert read_all(log) == [*range(0, 20, 2), *range(20, 25)]
    assert offsets_in(log.read(5, 25, 1 << 20))[0] == 4
    assert log.offset_for_time(1006, 25) == 6
    assert_sizes_agree(log)


def check_reads_go_on_over_many_segments(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, *((base, base + 1, base + 2) for base in range(0, 90, 3)))
    assert [segment.base_offset for segment in log.segments()] == list(range(0, 90, 3))
    for max_bytes in (1, 200, 1 << 20):
        assert read_all(log, max_bytes) == list(range(90))
    for offset in range(90):
        assert offsets_in(log.read(offset, 90, 1)) == [offset]
        assert log.offset_for_time(1000 + offset, 90) == offset
    assert_sizes_agree(log)


def check_a_read_that_may_not_block_says_so_or_answers(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1), (2, 3))
    log.flush()
    for offset in range(4):
        try:
            assert offsets_in(log.read(offset, 4, 1, may_block=False)) == [offset]
        except WouldBlock:
            assert offsets_in(log.read(offset, 4, 1)) == [offset]


def check_segments_know_their_times(make_store: MakeStore) -> None:
    log = make_store().open_log(PARTITION, TOPIC_ID)
    for offset, timestamp in enumerate((50, 90, 20)):
        append(log, batch_at(offset, timestamp=timestamp))
    log.roll(3)
    times = [(segment.max_timestamp, segment.first_timestamp) for segment in log.segments()]
    assert times == [(90, 50), (-1, -1)]
    assert [log.offset_for_time(timestamp, 3) for timestamp in (10, 50, 51, 91)] == [0, 0, 1, None]


def check_a_huge_batch_is_read_whole(make_store: MakeStore) -> None:
    log = make_store().open_log(PARTITION, TOPIC_ID)
    huge = batch_at(1, payload=bytes(range(256)) * (HUGE_BYTES // 256))
    for batch in (batch_at(0), huge, batch_at(2)):
        append(log, batch)
    log.flush()
    assert bytes(log.read(1, 2, 100)) == bytes(huge)
    assert read_all(log) == [0, 1, 2]
    assert offsets_in(log.read(0, 3, 1000))[0] == 0


def check_a_read_in_a_gap_starts_with_the_next_batch(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1, 7, 8), (20, 25))
    assert [offsets_in(log.read(offset, 26, 1)) for offset in (1, 2, 7, 9, 19, 21)] == [[1], [7], [7], [20], [20], [25]]
    assert not log.read(2, 7, 1000)
    assert offsets_in(log.read(2, 8, 1 << 20)) == [7]
    assert log.offset_for_time(1002, 26) == 7
    assert log.offset_for_time(1009, 26) == 20
    assert log.offset_for_time(1009, 20) is None
    assert read_all(log) == [0, 1, 7, 8, 20, 25]


def check_truncate_in_a_gap_goes_on_there(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1, 7, 8))
    log.truncate(4)
    assert log.end_offset == 4
    append(log, batch_at(4))
    assert read_all(log) == [0, 1, 4]
    assert_sizes_agree(log)


def check_truncate_takes_a_batch_that_reaches_over(make_store: MakeStore) -> None:
    _, log = filled(make_store, count=4, size=5)
    log.truncate(12)
    assert log.end_offset == 10
    append(log, batch_at(10, count=3))
    assert read_all(log) == [0, 5, 10]
    assert log.end_offset == 13


def check_truncate_to_a_segment_border(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1), (2, 3), (4, 5))
    log.truncate(2)
    assert (log.end_offset, read_all(log)) == (2, [0, 1])
    append(log, batch_at(2, timestamp=5000))
    assert read_all(log) == [0, 1, 2]
    assert log.offset_for_time(1003, 3) == 2
    assert_sizes_agree(log)


def check_truncate_over_several_segments(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1), (2, 3), (4, 5))
    log.flush()
    log.truncate(1)
    assert (log.end_offset, read_all(log)) == (1, [0])
    assert [segment.base_offset for segment in log.segments()] == [0]
    log.truncate(100)
    for offset in range(1, 4):
        append(log, batch_at(offset, timestamp=2000 + offset))
    log.roll(4)
    append(log, batch_at(4))
    assert read_all(log) == [0, 1, 2, 3, 4]
    assert log.offset_for_time(2002, 5) == 2
    assert_sizes_agree(log)


def check_truncate_of_everything(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1), (2, 3))
    log.truncate(0)
    assert (log.end_offset, log.size, read_all(log)) == (0, 0, [])
    append(log, batch_at(0))
    assert read_all(log) == [0]


def check_delete_before_takes_whole_segments(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1), (2, 3), (4, 5), (6, 7))
    assert list(log.delete_before(5)) == [0, 2]
    assert read_all(log) == [4, 5, 6, 7]
    assert_sizes_agree(log)
    assert list(log.delete_before(100)) == [4]
    assert (read_all(log), log.end_offset) == ([6, 7], 8)


def check_recovery_begins_with_the_segment_of_the_offset(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1), (2, 3), (4, 5))
    seen: list[int] = []

    def accept(header: object, data: memoryview) -> bool:
        seen.append(int.from_bytes(data[:8], "big"))
        assert len(data) > HEADER_BYTES
        return True

    log.recover(3, accept)
    assert seen == [2, 3, 4, 5]
    log.recover(3, lambda header, data: header.base_offset < 4)
    assert (log.end_offset, read_all(log)) == (4, [0, 1, 2, 3])
    append(log, batch_at(4, timestamp=7000))
    assert (read_all(log), log.offset_for_time(7000, 5)) == ([0, 1, 2, 3, 4], 4)
    assert_sizes_agree(log)


def check_active_index_bytes_start_again_with_a_segment(make_store: MakeStore) -> None:
    log = make_store().open_log(PARTITION, TOPIC_ID, index_interval_bytes=1)
    assert log.active_index_bytes() == 0
    sizes = []
    for offset in range(50):
        append(log, batch_at(offset))
        sizes.append(log.active_index_bytes())
    assert sizes == sorted(sizes)
    log.roll(50)
    assert log.active_index_bytes() == 0


def check_flushes_and_reads_go_on_beside_appends(make_store: MakeStore) -> None:
    """A thread flushes without end and another one reads, while this one appends, rolls and reads."""
    log = make_store().open_log(PARTITION, TOPIC_ID)
    is_done = threading.Event()
    failures: list[BaseException] = []

    def beside(work: Callable[[], object]) -> None:
        try:
            # Between two calls the others shall have Python's lock.
            while not is_done.wait(0.0005):
                work()
        except BaseException as error:
            failures.append(error)

    def read_in_order() -> None:
        end = log.end_offset
        found = offsets_in(log.read(0, end, 1 << 16))
        assert found == list(range(len(found)))
        assert found or not end

    threads = [threading.Thread(target=beside, args=(work,)) for work in (log.flush, read_in_order)]
    for thread in threads:
        thread.start()
    try:
        for offset in range(600):
            if offset % 100 == 99:
                log.roll(offset)
            append(log, batch_at(offset, payload=b"v" * 200))
            if offset % 7 == 0:
                assert offsets_in(log.read(offset, offset + 1, 1)) == [offset]
    finally:
        is_done.set()
        for thread in threads:
            thread.join()
    assert failures == []
    log.flush()
    assert read_all(log) == list(range(600))


def check_reset_survives_a_restart(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3))
    log.reset(100)
    log.flush()
    log.close()
    store.close(clean=True)
    log = make_store().open_log(PARTITION, TOPIC_ID)
    assert (log.end_offset, log.size) == (100, 0)
    assert [segment.base_offset for segment in log.segments()] == [100]
    append(log, batch_at(100))
    assert read_all(log) == [100]


def check_a_cut_survives_a_restart(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3, 4), (5, 6))
    log.truncate(4)
    append(log, batch_at(4, timestamp=9000))
    log.delete_before(2)
    log.flush()
    log.close()
    store.close(clean=True)
    log = make_store().open_log(PARTITION, TOPIC_ID)
    assert (log.end_offset, read_all(log)) == (5, [2, 3, 4])
    assert log.segments()[0].max_timestamp == 9000
    assert log.offset_for_time(8000, 5) == 4
    assert_sizes_agree(log)


def check_a_roll_survives_a_restart(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3))
    before = [segment[:2] for segment in log.segments()]
    log.roll(4)
    log.flush()
    log.close()
    store.close(clean=True)
    log = make_store().open_log(PARTITION, TOPIC_ID)
    assert log.end_offset == 4
    assert [segment[:2] for segment in log.segments()][:2] == before
    append(log, batch_at(4))
    assert read_all(log) == [0, 1, 2, 3, 4]


CHECKS: tuple[Callable[[MakeStore], None], ...] = (
    check_one_append_takes_many_batches,
    check_reads_go_on_over_many_segments,
    check_a_read_that_may_not_block_says_so_or_answers,
    check_segments_know_their_times,
    check_a_huge_batch_is_read_whole,
    check_a_read_in_a_gap_starts_with_the_next_batch,
    check_truncate_in_a_gap_goes_on_there,
    check_truncate_takes_a_batch_that_reaches_over,
    check_truncate_to_a_segment_border,
    check_truncate_over_several_segments,
    check_truncate_of_everything,
    check_delete_before_takes_whole_segments,
    check_recovery_begins_with_the_segment_of_the_offset,
    check_active_index_bytes_start_again_with_a_segment,
    check_flushes_and_reads_go_on_beside_appends,
)
DURABLE_CHECKS: tuple[Callable[[MakeStore], None], ...] = (
    check_reset_survives_a_restart,
    check_a_cut_survives_a_restart,
    check_a_roll_survives_a_restart,
)
