from __future__ import annotations

import dataclasses

from mainstem.core.log.retention import delete_before, should_roll
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
    return should_roll(active, 0, 0, size, last, time, CONFIG)


def test_rolls_by_size_age_and_offset_span_but_never_when_empty() -> None:
    assert not roll(0, 5000)
    assert not roll(600, 400)
    assert roll(600, 401)
    assert not roll(600, 1, time=500)
    assert roll(600, 1, time=501)
    assert roll(600, 1, last=2**31)


def test_segments_older_than_retention_go_in_order() -> None:
    assert delete_before(SEGMENTS, 25, CONFIG, now_ms=1100) is None
    assert delete_before(SEGMENTS, 25, CONFIG, now_ms=1101) == 10
    assert delete_before(SEGMENTS, 25, CONFIG, now_ms=99_999) == 20


def test_nothing_above_the_high_watermark_goes() -> None:
    assert delete_before(SEGMENTS, 15, CONFIG, now_ms=99_999) == 10
    assert delete_before(SEGMENTS, 5, CONFIG, now_ms=99_999) is None


def test_size_limit_keeps_at_least_that_many_bytes() -> None:
    limited = dataclasses.replace(CONFIG, retention_ms=-1, retention_bytes=500)
    assert delete_before(SEGMENTS, 25, limited, now_ms=0) == 10
    assert delete_before(SEGMENTS, 25, dataclasses.replace(limited, retention_bytes=501), now_ms=0) is None


def test_compacted_topics_and_unlimited_ones_keep_everything() -> None:
    assert delete_before(SEGMENTS, 25, dataclasses.replace(CONFIG, cleanup_policy=("compact",)), now_ms=99_999) is None
    assert delete_before(SEGMENTS, 25, dataclasses.replace(CONFIG, retention_ms=-1), now_ms=99_999) is None
