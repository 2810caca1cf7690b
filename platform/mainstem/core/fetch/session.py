"""Fetch sessions (KIP-227): the broker remembers what a client fetches, so that requests and answers name only what changed.

    client                                            broker
    Fetch session 0 epoch 0, partitions a b c  ─────>  makes session 7
    <───── session 7, all of a b c
    Fetch session 7 epoch 1, b from 120        ─────>  b moves, a and c stay as they were
    <───── session 7, those of a b c that have records, an error, or a new watermark
    Fetch session 7 epoch 2, forget c          ─────>  ...

Epoch 0 asks for a new session, -1 for none (and ends the one named). Source: Kafka's `FetchManager` and `FetchSession`, 4.1;
there, a session with more partitions may also take the slot of one with fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from mainstem.model.errors import ErrorCode

INITIAL_EPOCH = 0
FINAL_EPOCH = -1
NO_SESSION = 0
EPOCH_MAX = 0x7FFFFFFF


class FetchPartition(NamedTuple):
    """What a client asks of one partition. Offsets and epochs are -1 where it does not say."""

    partition: int
    current_leader_epoch: int
    fetch_offset: int
    last_fetched_epoch: int
    log_start_offset: int
    max_bytes: int


class FetchedBefore:
    """One partition in a session, and what its client was last told about it."""

    __slots__ = ("high_watermark", "log_start_offset", "topic", "wanted")

    def __init__(self, topic: bytes, wanted: FetchPartition) -> None:
        self.topic = topic
        self.wanted = wanted
        self.high_watermark = -1
        self.log_start_offset = -1

    def has_news(self, error: int, has_records: bool, high_watermark: int, log_start_offset: int) -> bool:
        """Whether the client must hear of it, and note what it hears. An error is told again until it is gone."""
        if error:
            self.high_watermark = -1
            return True
        news = has_records or high_watermark != self.high_watermark or log_start_offset != self.log_start_offset
        self.high_watermark = high_watermark
        self.log_start_offset = log_start_offset
        return news


PartitionKey = tuple[bytes, int]


class FetchSession:
    """`epoch` is the one the next request must carry. Partitions are in the order in which they are read."""

    __slots__ = ("epoch", "is_follower", "last_used_ms", "partitions", "session_id", "uses_topic_ids")

    def __init__(self, session_id: int, *, uses_topic_ids: bool, is_follower: bool, now_ms: int) -> None:
        self.session_id = session_id
        self.epoch = 1
        self.uses_topic_ids = uses_topic_ids
        self.is_follower = is_follower
        self.last_used_ms = now_ms
        self.partitions: dict[PartitionKey, FetchedBefore] = {}

    def update(self, topics: Iterable[tuple[bytes, Sequence[FetchPartition]]]) -> None:
        for topic, partitions in topics:
            for wanted in partitions:
                known = self.partitions.get((topic, wanted.partition))
                if known is None:
                    self.partitions[topic, wanted.partition] = FetchedBefore(topic, wanted)
                else:
                    known.wanted = wanted

    def forget(self, topics: Iterable[tuple[bytes, Sequence[int]]]) -> None:
        for topic, partitions in topics:
            for partition in partitions:
                self.partitions.pop((topic, partition), None)

    def read_last(self, partition: FetchedBefore) -> None:
        """It has just given records: next time the others come first, so that none of them starves."""
        key = (partition.topic, partition.wanted.partition)
        if len(self.partitions) > 1 and self.partitions.pop(key, None) is not None:
            self.partitions[key] = partition


class FetchContext(NamedTuple):
    """How one request is to be answered: which partitions, in which order, under which session.

    `error` set: with that alone. `is_incremental`: only with partitions that have news.
    """

    error: ErrorCode
    session: FetchSession | None
    partitions: Sequence[FetchedBefore]
    is_incremental: bool

    @property
    def session_id(self) -> int:
        return self.session.session_id if self.session is not None else NO_SESSION


class FetchSessions:
    """All sessions of a broker: at most `slots_max`. A full house gives the slot of the session that was not used for longest,
    if that was `eviction_ms` ago, or if a follower asks and it belongs to a consumer."""

    def __init__(self, slots_max: int, eviction_ms: int, new_id: Callable[[], int]) -> None:
        self._slots_max = slots_max
        self._eviction_ms = eviction_ms
        self._new_id = new_id
        # In order of use: the front is the first to go.
        self._sessions: dict[int, FetchSession] = {}
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[FetchSession]:
        return iter(self._sessions.values())

    def begin(
        self,
        session_id: int,
        epoch: int,
        topics: Sequence[tuple[bytes, Sequence[FetchPartition]]],
        forgotten: Sequence[tuple[bytes, Sequence[int]]],
        *,
        uses_topic_ids: bool,
        is_follower: bool,
        now_ms: int,
    ) -> FetchContext:
        if epoch in (INITIAL_EPOCH, FINAL_EPOCH):
            self._sessions.pop(session_id, None)
            session = None
            if epoch == INITIAL_EPOCH and topics:
                session = self._open(uses_topic_ids, is_follower, now_ms)
            if session is None:
                return FetchContext(ErrorCode.NONE, None, [FetchedBefore(t, w) for t, ws in topics for w in ws], False)
            session.update(topics)
            return FetchContext(ErrorCode.NONE, session, tuple(session.partitions.values()), False)
        session = self._sessions.get(session_id)
        if session is None:
            return _refuse(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != epoch:
            return _refuse(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids != uses_topic_ids:
            return _refuse(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.update(topics)
        session.forget(forgotten)
        del self._sessions[session_id]
        if not session.partitions:
            return FetchContext(ErrorCode.NONE, None, (), False)
        self._sessions[session_id] = session
        session.last_used_ms = now_ms
        session.epoch = epoch + 1 if epoch < EPOCH_MAX else 1
        return FetchContext(ErrorCode.NONE, session, tuple(session.partitions.values()), True)

    def _open(self, uses_topic_ids: bool, is_follower: bool, now_ms: int) -> FetchSession | None:
        if len(self._sessions) >= self._slots_max and not self._evict(is_follower, now_ms):
            return None
        session_id = self._new_id()
        while session_id in self._sessions or session_id == NO_SESSION:
            session_id = self._new_id()
        session = FetchSession(session_id, uses_topic_ids=uses_topic_ids, is_follower=is_follower, now_ms=now_ms)
        self._sessions[session_id] = session
        return session

    def _evict(self, for_follower: bool, now_ms: int) -> bool:
        for session in self._sessions.values():
            is_stale = now_ms - session.last_used_ms > self._eviction_ms
            if is_stale or (for_follower and not session.is_follower):
                del self._sessions[session.session_id]
                self.evictions += 1
                return True
            if not for_follower:
                return False
        return False


def _refuse(error: ErrorCode) -> FetchContext:
    return FetchContext(error, None, (), False)
