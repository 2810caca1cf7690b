from __future__ import annotations

import dataclasses

from mainstem.core.log.retention import keep_from, should_roll
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.segment import SegmentInfo

CONFIG = dataclasses.replace(
    TopicConfig.resolve({}, BrokerConfig.from_texts({})),
    segment_bytes=1000,
    segment_ms=500,
    retention_ms=100,
    retention_bytes=-1,
)
SEGMENTS = [SegmentInfo(0, 400, 1000, 900), SegmentInfo(10, 400, 2000, 1500), SegmentInfo(20, 100, 3000, 2500)]


def roll(active: int, size: int, last: int = 5, time: int = 0) -> bool:
    return should_roll(active, 0, 0, 0, size, last, time, CONFIG)


def test_rolls_by_size_age_and_offset_span_but_never_when_empty() -> None:
    assert not roll(0, 5000)
    assert not roll(600, 400)
    assert roll(600, 401)
    assert not roll(600, 1, time=500)
    assert roll(600, 1, time=501)
    assert roll(600, 1, last=2**31)


def start_after(config: TopicConfig = CONFIG, *, high_watermark: int = 25, now_ms: int = 0, start: int = 0) -> int:
    return keep_from(SEGMENTS, start, 25, high_watermark, config, now_ms)


def test_segments_older_than_retention_go_in_order() -> None:
    assert start_after(now_ms=1100) == 0
    assert start_after(now_ms=1101) == 10
    assert start_after(now_ms=2101) == 20


def test_active_segment_goes_when_all_of_it_is_old() -> None:
    assert start_after(now_ms=3100) == 20
    assert start_after(now_ms=3101) == 25
    assert keep_from([SegmentInfo(25, 0, -1, -1)], 25, 25, 25, CONFIG, now_ms=99_999) == 25


def test_nothing_above_the_high_watermark_goes() -> None:
    assert start_after(high_watermark=24, now_ms=99_999) == 20
    assert start_after(high_watermark=15, now_ms=99_999) == 10
    assert start_after(high_watermark=5, now_ms=99_999) == 0


def test_size_limit_keeps_at_least_that_many_bytes() -> None:
    limited = dataclasses.replace(CONFIG, retention_ms=-1, retention_bytes=500)
    assert start_after(limited) == 10
    assert start_after(dataclasses.replace(limited, retention_bytes=501)) == 0
    assert start_after(dataclasses.replace(limited, retention_bytes=0)) == 25


def test_segments_below_the_log_start_offset_go() -> None:
    unlimited = dataclasses.replace(CONFIG, retention_ms=-1)
    assert start_after(unlimited, start=12) == 12
    assert start_after(unlimited, start=25) == 25


def test_compacted_topics_and_unlimited_ones_keep_everything() -> None:
    assert start_after(dataclasses.replace(CONFIG, cleanup_policy=("compact",)), now_ms=99_999) == 0
    assert start_after(dataclasses.replace(CONFIG, retention_ms=-1), now_ms=99_999) == 0


def test_compacted_and_deleted_topics_do_both() -> None:
    assert start_after(dataclasses.replace(CONFIG, cleanup_policy=("compact", "delete")), now_ms=1101) == 10


def test_compacted_topic_rolls_before_max_compaction_lag() -> None:
    hurried = dataclasses.replace(CONFIG, cleanup_policy=("compact",), max_compaction_lag_ms=100)
    assert should_roll(600, 0, 0, 0, 1, 5, 101, hurried)
    assert not should_roll(600, 0, 0, 0, 1, 5, 101, dataclasses.replace(hurried, cleanup_policy=("delete",)))


def test_a_full_index_closes_its_segment() -> None:
    config = dataclasses.replace(CONFIG, segment_index_bytes=100)
    assert not should_roll(600, 88, 0, 0, 1, 5, 5, config)
    assert should_roll(600, 89, 0, 0, 1, 5, 5, config)
