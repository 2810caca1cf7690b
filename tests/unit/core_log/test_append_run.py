"""A run of appends says of every batch what single appends say, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.core.log.append import plan_append
from mainstem.core.log.append_run import RunLimits, plan_run, run_limits, takes_plain_batches
from mainstem.core.log.producer_state import ProducerStates
from mainstem.model import batch as batches
from mainstem.model import records
from mainstem.model.batch import read_header
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode

NOW = 1_700_000_000_000
BROKER = BrokerConfig.from_texts({})


def config(**texts: str) -> TopicConfig:
    return TopicConfig.resolve({name.replace("_", "."): text for name, text in texts.items()}, BROKER)


def encoded(
    count: int = 1, timestamp: int = NOW, producer: tuple[int, int, int] | None = None, **fields: Any
) -> bytearray:
    plain = records.encode([b"k"] * count, [b"v" * 20] * count, [timestamp] * count)
    header = read_header(plain)._replace(**fields)
    if producer is not None:
        header = header._replace(producer_id=producer[0], producer_epoch=producer[1], base_sequence=producer[2])
    return bytearray(batches.build(header, bytes(plain[batches.HEADER_BYTES :])))


BATCHES = st.one_of(
    st.builds(encoded, st.integers(1, 3)),
    st.builds(encoded, st.just(1), st.sampled_from([NOW - 10**9, NOW, NOW + 10**9])),
    st.builds(
        encoded,
        st.integers(1, 2),
        st.just(NOW),
        st.tuples(st.integers(5, 6), st.integers(0, 1), st.integers(0, 4)),
    ),
    st.builds(encoded, st.just(1), attributes=st.sampled_from([0x20, 0x10, 0x08, 0])),
    st.builds(encoded, st.just(2), records_count=st.integers(-1, 3)),
    st.builds(encoded, st.just(1), magic=st.sampled_from([1, 2])),
    st.binary(max_size=70).map(bytearray),
)


@settings(deadline=None, max_examples=300)
@given(sent=st.lists(BATCHES, max_size=8), flip=st.none() | st.integers(21, 90), limit=st.sampled_from([90, 1 << 20]))
def test_run_and_single_appends_agree(sent: list[bytearray], flip: int | None, limit: int) -> None:
    """Until the first batch that is not plain: offsets, producers and bytes are what one append after the other makes of them."""
    if flip is not None and sent and flip < len(sent[-1]):
        sent[-1][flip] ^= 0xFF
    topic = config(max_message_bytes=str(limit))
    alone, together = ProducerStates(), ProducerStates()
    for states in (alone, together):
        # Both producers are known: their next sequence is 1.
        for producer_id in (5, 6):
            header = read_header(encoded(producer=(producer_id, 0, 0)))
            states.apply(header, 0, NOW)
    limits = run_limits(topic, 0, 1000, 0, NOW, NOW)
    views = [memoryview(bytearray(b)) for b in sent]
    plan = plan_run(views, 10, 3, together, limits, NOW)
    end = 10
    for view, span in zip(views, plan.spans, strict=False):
        original = sent[views.index(view)]
        single = plan_append(original, end, alone, topic, NOW, from_client=True)
        assert single.error is ErrorCode.NONE
        assert not single.is_duplicate
        assert single.header is not None
        assert (span.base_offset, span.last_offset) == (single.base_offset, single.last_offset)
        if single.header.producer_id >= 0:
            alone.apply(single.header, end, NOW)
        batches.patch_offset(original, 0, end, 3)
        assert bytes(view) == bytes(original)
        end = span.last_offset + 1
    assert plan.records_count == end - 10
    assert together.encode_snapshot() == alone.encode_snapshot()
    if len(plan.spans) < len(sent):
        refused = plan_append(sent[len(plan.spans)], end, alone, topic, NOW, from_client=True)
        header = refused.header
        not_plain = header is None or refused.is_duplicate or header.attributes & 0x38 or header.producer_id >= 0
        assert not_plain or header.max_timestamp > limits.timestamp_max


def test_undone_run_leaves_producers_as_they_were() -> None:
    states = ProducerStates()
    states.apply(read_header(encoded(producer=(5, 0, 0))), 0, NOW)
    before = states.encode_snapshot()
    run = [memoryview(encoded(producer=(5, 0, n))) for n in range(1, 9)]
    plan = plan_run(run, 1, 0, states, run_limits(config(), 0, 1000, 0, NOW, NOW), NOW + 5)
    assert len(plan.spans) == 8
    assert states.encode_snapshot() != before
    states.restore(plan.saved)
    assert states.encode_snapshot() == before


@pytest.mark.parametrize(
    "limits",
    [
        RunLimits(10, -(1 << 63), 1 << 62, 1 << 30, 1 << 40),
        RunLimits(1 << 20, NOW + 1, 1 << 62, 1 << 30, 1 << 40),
        RunLimits(1 << 20, -(1 << 63), NOW - 1, 1 << 30, 1 << 40),
        RunLimits(1 << 20, -(1 << 63), 1 << 62, 10, 1 << 40),
        RunLimits(1 << 20, -(1 << 63), 1 << 62, 1 << 30, 9),
    ],
    ids=["too large", "too old", "too new or of the next segment", "no room", "offset out of reach"],
)
def test_every_limit_ends_the_run(limits: RunLimits) -> None:
    assert plan_run([memoryview(encoded())], 10, 0, ProducerStates(), limits, NOW).spans == []


def test_first_batch_of_a_segment_is_not_of_a_run() -> None:
    assert run_limits(config(), 0, 0, 0, -1, NOW).room == 0


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, True),
        ({"message_timestamp_type": "LogAppendTime"}, False),
        ({"cleanup_policy": "compact"}, False),
        ({"compression_type": "zstd"}, False),
    ],
)
def test_topics_that_look_into_batches_take_no_runs(texts: dict[str, str], expected: bool) -> None:
    assert takes_plain_batches(config(**texts)) is expected


def test_run_does_not_fill_the_index_beyond_its_size() -> None:
    topic = config(segment_index_bytes="24", index_interval_bytes="100")
    assert run_limits(topic, 0, 1000, 0, NOW, NOW).room == 200
    assert run_limits(topic, 0, 1000, 24, NOW, NOW).room == 0
