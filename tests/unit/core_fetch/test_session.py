"""Fetch sessions: what a client learns from incremental answers is what full answers would have told it."""

from __future__ import annotations

import itertools
import random

import pytest

from mainstem.core.fetch.session import FetchContext, FetchPartition, FetchSessions
from mainstem.model.errors import ErrorCode


def wanted(partition: int, offset: int = 0) -> FetchPartition:
    return FetchPartition(partition, -1, offset, -1, -1, 1 << 20)


def sessions(slots: int = 10) -> FetchSessions:
    ids = itertools.count(100)
    return FetchSessions(slots, 120_000, lambda: next(ids))


def begin(
    cache: FetchSessions,
    session_id: int,
    epoch: int,
    topics: list[tuple[bytes, list[FetchPartition]]],
    *,
    forgotten: list[tuple[bytes, list[int]]] | None = None,
    now_ms: int = 0,
    uses_topic_ids: bool = False,
    is_follower: bool = False,
) -> FetchContext:
    return cache.begin(
        session_id,
        epoch,
        topics,
        forgotten or [],
        uses_topic_ids=uses_topic_ids,
        is_follower=is_follower,
        now_ms=now_ms,
    )


def test_first_request_opens_a_session_and_hears_of_all() -> None:
    cache = sessions()
    context = begin(cache, 0, 0, [(b"a", [wanted(0), wanted(1)])])
    assert (context.error, context.session_id, context.is_incremental) == (ErrorCode.NONE, 100, False)
    assert [e.wanted.partition for e in context.partitions] == [0, 1]
    assert len(cache) == 1


def test_epoch_minus_one_asks_for_no_session_and_ends_the_one_it_names() -> None:
    cache = sessions()
    opened = begin(cache, 0, 0, [(b"a", [wanted(0)])])
    context = begin(cache, opened.session_id, -1, [(b"a", [wanted(0)])])
    assert (context.session_id, context.is_incremental, len(cache)) == (0, False, 0)


@pytest.mark.parametrize(
    ("session_id", "epoch", "ids", "error"),
    [
        (99, 1, False, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
        (100, 2, False, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        (100, 1, True, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR),
    ],
)
def test_requests_that_do_not_fit_are_refused(session_id: int, epoch: int, ids: bool, error: ErrorCode) -> None:
    cache = sessions()
    begin(cache, 0, 0, [(b"a", [wanted(0)])])
    assert begin(cache, session_id, epoch, [], uses_topic_ids=ids).error is error


def test_epoch_wraps_to_one() -> None:
    cache = sessions()
    session = begin(cache, 0, 0, [(b"a", [wanted(0)])]).session
    assert session is not None
    session.epoch = 2**31 - 1
    assert begin(cache, 100, 2**31 - 1, []).error is ErrorCode.NONE
    assert begin(cache, 100, 1, []).error is ErrorCode.NONE


def test_session_that_has_forgotten_everything_is_gone() -> None:
    cache = sessions()
    begin(cache, 0, 0, [(b"a", [wanted(0)])])
    context = begin(cache, 100, 1, [], forgotten=[(b"a", [0])])
    assert (context.error, context.session_id, context.partitions, len(cache)) == (ErrorCode.NONE, 0, (), 0)


def test_full_house_gives_slots_of_unused_sessions_only() -> None:
    cache = sessions(slots=2)
    for _ in range(2):
        begin(cache, 0, 0, [(b"a", [wanted(0)])], now_ms=0)
    assert begin(cache, 0, 0, [(b"a", [wanted(0)])], now_ms=60_000).session_id == 0
    begin(cache, 100, 1, [], now_ms=100_000)
    assert begin(cache, 0, 0, [(b"a", [wanted(0)])], now_ms=130_000).session_id == 102
    assert [s.session_id for s in cache] == [100, 102]
    assert cache.evictions == 1


def test_followers_come_before_consumers() -> None:
    cache = sessions(slots=1)
    begin(cache, 0, 0, [(b"a", [wanted(0)])])
    assert begin(cache, 0, 0, [(b"a", [wanted(0)])], is_follower=True).session_id == 101
    assert begin(cache, 0, 0, [(b"a", [wanted(0)])], is_follower=True).session_id == 0


def test_partition_that_gave_records_is_read_last_next_time() -> None:
    cache = sessions()
    context = begin(cache, 0, 0, [(b"a", [wanted(0), wanted(1), wanted(2)])])
    assert context.session is not None
    context.session.read_last(context.partitions[0])
    again = begin(cache, 100, 1, [])
    assert [e.wanted.partition for e in again.partitions] == [1, 2, 0]


def test_error_is_told_until_it_is_gone_and_its_end_as_well() -> None:
    entry = begin(sessions(), 0, 0, [(b"a", [wanted(0)])]).partitions[0]
    assert entry.has_news(0, False, 5, 0)
    assert not entry.has_news(0, False, 5, 0)
    assert entry.has_news(3, False, -1, -1)
    assert entry.has_news(3, False, -1, -1)
    assert entry.has_news(0, False, 5, 0)
    assert not entry.has_news(0, False, 5, 0)


@pytest.mark.parametrize("seed", range(60))
def test_client_of_a_session_knows_what_a_client_without_one_knows(seed: int) -> None:
    """Watermarks move, partitions join and leave, answers say only what is new: after each the client's picture is the truth."""
    rng = random.Random(seed)
    cache = sessions()
    truth = {p: rng.randint(0, 3) for p in range(6)}
    session_id, epoch, known = 0, 0, {}
    interested = set(rng.sample(range(6), 3))
    context = begin(cache, 0, 0, [(b"t", [wanted(p) for p in interested])])
    for _ in range(30):
        for entry in context.partitions:
            partition = entry.wanted.partition
            news = entry.has_news(0, rng.random() < 0.2, truth[partition], 0)
            if news or not context.is_incremental:
                known[partition] = truth[partition]
        assert {p: known[p] for p in interested} == {p: truth[p] for p in interested}
        session_id, epoch = context.session_id, epoch + 1
        for p in truth:
            truth[p] += rng.random() < 0.3
        joined = {p for p in range(6) if p not in interested and rng.random() < 0.2}
        left = {p for p in interested if rng.random() < 0.15 and len(interested) > 1}
        if left == interested:
            left.pop()
        interested = (interested | joined) - left
        context = begin(cache, session_id, epoch, [(b"t", [wanted(p) for p in joined])], forgotten=[(b"t", list(left))])
        assert context.error is ErrorCode.NONE
        assert {e.wanted.partition for e in context.partitions} == interested
