"""Which part of a log is dirty, when it is due, and which segments become one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from compaction_kit import CompactedLog, topic_config
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.log.compaction import Cleanable, find_cleanable, group_segments
from mainstem.core.log.offset_map import ENTRY_BYTES, OffsetMap, entries_within
from mainstem.model.batch import iterate
from mainstem.model.batch_records import read_records
from mainstem.model.segment import SegmentInfo

CONFIG = topic_config()
SEGMENTS = [
    SegmentInfo(0, 1000, 100, 50),
    SegmentInfo(100, 2000, 200, 150),
    SegmentInfo(200, 3000, 300, 250),
    SegmentInfo(300, 500, 400, 350),
]
GOLDEN = Path(__file__).resolve().parents[2] / "data" / "kafka-4.1-log" / "golden-compacted-0"


def found(
    checkpoint: int | None = None, stable: int = 400, start: int = 0, now_ms: int = 1000, **over: int
) -> Cleanable:
    config = dataclasses.replace(CONFIG, **over)
    return find_cleanable(SEGMENTS, checkpoint, start, stable, config, now_ms)


def test_everything_but_the_active_segment_is_dirty_at_first() -> None:
    assert found() == Cleanable(0, 300, 0, 6000, 0)
    assert found().dirty_ratio == 1


def test_ratio_compares_the_dirty_part_with_all_that_can_be_clean() -> None:
    half = found(checkpoint=200)
    assert half == Cleanable(200, 300, 3000, 3000, 0)
    assert not half.is_due(CONFIG)
    assert half.is_due(dataclasses.replace(CONFIG, min_cleanable_dirty_ratio=0.49))


def test_segment_with_undecided_records_waits() -> None:
    assert found(stable=250).first_uncleanable_offset == 200
    assert found(stable=50) == Cleanable(0, 0, 0, 0, 0)


def test_young_segments_wait_with_all_that_follow() -> None:
    assert found(now_ms=250, min_compaction_lag_ms=100).first_uncleanable_offset == 100
    assert found(now_ms=300, min_compaction_lag_ms=100).first_uncleanable_offset == 200


def test_old_dirty_records_make_any_log_due() -> None:
    late = found(checkpoint=200, now_ms=1000, max_compaction_lag_ms=700)
    assert late.delay_ms == 50
    assert late.is_due(dataclasses.replace(CONFIG, min_cleanable_dirty_ratio=1.0))
    assert found(checkpoint=300, max_compaction_lag_ms=1).is_due(CONFIG) is False


@pytest.mark.parametrize(
    ("checkpoint", "start", "expected"), [(50, 120, 120), (900, 0, 0), (300, 0, 300), (None, 120, 120)]
)
def test_checkpoint_outside_the_log_is_not_believed(checkpoint: int | None, start: int, expected: int) -> None:
    assert found(checkpoint=checkpoint, start=start).first_dirty_offset == expected


def bases(size: int, end: int = 300, **over: int) -> list[list[int]]:
    config = dataclasses.replace(CONFIG, segment_bytes=size, **over)
    return [[s.base_offset for s in group.segments] for group in group_segments(SEGMENTS, end, config)]


def test_neighbours_that_fit_one_segment_are_grouped() -> None:
    assert bases(10_000) == [[0, 100, 200]]
    assert bases(3000) == [[0, 100], [200]]
    assert bases(100) == [[0], [100], [200]]
    assert bases(10_000, end=150) == [[0, 100]]
    assert bases(10_000, index_interval_bytes=100, segment_index_bytes=360) == [[0, 100], [200]]
    assert [g.end_offset for g in group_segments(SEGMENTS, 300, CONFIG)] == [300]


def test_offsets_of_a_group_fit_four_bytes() -> None:
    far = [
        SegmentInfo(0, 10, 0, 0),
        SegmentInfo(2**31, 10, 0, 0),
        SegmentInfo(2**31 + 1, 0, 0, 0),
        SegmentInfo(2**32, 0, 0, 0),
    ]
    assert [len(group.segments) for group in group_segments(far, 2**32, CONFIG)] == [1, 2]


@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 100)), max_size=60), st.integers(1, 20))
def test_map_knows_the_last_offset_of_every_key_it_took(keys: list[tuple[bytes, int]], room: int) -> None:
    offsets, model = OffsetMap(room), {}
    for offset, (key, _) in enumerate(keys):
        taken = offsets.put(key, offset)
        assert taken == (key in model or len(model) < room)
        if not taken:
            assert offsets.is_full
            assert offsets.latest_offset == offset - 1
            break
        model[key] = offset
    assert {key: offsets.get(key) for key, _ in keys} == {key: model.get(key, -1) for key, _ in keys}
    assert len(offsets) == len(model)


def test_room_follows_from_memory() -> None:
    assert entries_within(128 * 1024 * 1024, 0.9) == int(128 * 1024 * 1024 * 0.9) // ENTRY_BYTES
    assert entries_within(1, 0.0) == 1


def test_log_that_kafka_wrote_is_compacted_to_its_last_values() -> None:
    log = CompactedLog()
    data = (GOLDEN / "00000000000000000000.log").read_bytes()
    for position, header in iterate(data):
        log.append_bytes(data[position : position + header.size])
    log.roll()
    log.compact()
    ((header, batch),) = log.batches()
    assert [(r.offset, r.key, r.value) for r in read_records(batch, header)] == [(8, b"k0", b"8"), (9, b"k1", b"9")]
    assert (header.base_offset, header.last_offset, header.base_sequence, header.last_sequence) == (0, 9, 0, 9)
