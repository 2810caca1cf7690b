"""A shard of groups on a virtual clock: commands in, replies by caller out, timers fired in order."""

from __future__ import annotations

import heapq
import itertools
import struct
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from mainstem.core.decision import Decision
from mainstem.core.group.classic_state import ClassicGroup
from mainstem.core.group.cluster_view import ConsumerTimeouts, Topic
from mainstem.core.group.commands import (
    CommitOffsets,
    ConsumerHeartbeat,
    FetchOffsets,
    Heartbeat,
    JoinGroup,
    LeaveGroup,
    LeavingMember,
    MemberProtocol,
    OffsetToCommit,
    SyncGroup,
    TopicsChanged,
)
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.metadata_hash import topic_hash
from mainstem.core.group.records import GroupRecord
from mainstem.core.group.results import ConsumerHeartbeatResult, JoinResult
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

START_MS = 1_700_000_000_000
GROUP = "g"


def subscription(*topics: str) -> bytes:
    """Consumer protocol, version 0."""
    names = b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


class FakeCluster:
    """Topics by name and how many partitions they have; ids are made of names."""

    def __init__(self, **topics: int) -> None:
        self.counts = dict(topics)
        self.version = 1
        self.heartbeat_interval_ms = 5_000
        self.session_timeout_ms = 45_000

    @staticmethod
    def id_of(name: str) -> bytes:
        return name.encode().ljust(16, b".")

    def topic(self, name: str) -> Topic | None:
        return Topic(name, self.id_of(name), self.counts[name]) if name in self.counts else None

    def topic_name(self, topic_id: bytes) -> str | None:
        name = topic_id.rstrip(b".").decode()
        return name if name in self.counts else None

    def topic_names(self) -> Iterator[str]:
        return iter(self.counts)

    def topic_hash(self, name: str) -> int | None:
        return topic_hash(name, self.id_of(name), [()] * self.counts[name]) if name in self.counts else None

    def consumer_timeouts(self, group_id: str) -> ConsumerTimeouts:
        return ConsumerTimeouts(self.heartbeat_interval_ms, self.session_timeout_ms)


class Call:
    """One request: `result` is None while it is parked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.result: Any = None

    def __repr__(self) -> str:
        return f"{self.name}: {self.result}"


class Bench:
    """Everything a test needs of one shard. `refuse_appends` makes the next appends fail with that error."""

    def __init__(
        self,
        settings: GroupSettings | None = None,
        log: list[GroupRecord] | None = None,
        *,
        now_ms: int = START_MS,
        ids: Iterator[int] | None = None,
        cluster: FakeCluster | None = None,
    ) -> None:
        self.settings = settings or GroupSettings(group_initial_rebalance_delay_ms=0)
        self.cluster = cluster or FakeCluster(orders=4)
        self.shard = GroupShard(self.settings, self.cluster)
        self.now_ms = now_ms
        self.log: list[GroupRecord] = []
        self.refuse_appends: ErrorCode | None = None
        self._timers: dict[Hashable, tuple[int, int, Any]] = {}
        self._ids = ids or itertools.count(1)
        self._order = itertools.count()
        for record in log or []:
            self.log.append(record)
            self.shard.apply(record, offset=len(self.log) - 1)
        self.carry_out(self.shard.loaded(self.now_ms))

    def restarted(self) -> Bench:
        """Another coordinator reads the log back."""
        return Bench(self.settings, self.log, now_ms=self.now_ms, ids=self._ids, cluster=self.cluster)

    def carry_out(self, decision: Decision[GroupRecord]) -> None:
        if decision.records and self.refuse_appends is not None:
            error = self.refuse_appends
            for reply in decision.replies:
                reply.token.result = error
            self.carry_out(self.shard.reject(decision.records, error, self.now_ms))
            return
        for record in decision.records:
            self.log.append(record)
            self.shard.apply(record, offset=len(self.log) - 1)
        for timer in decision.timers:
            self._timers.pop(timer.key, None)
            if timer.delay_ms is not None:
                due = self.now_ms + timer.delay_ms
                self._timers[timer.key] = (due, next(self._order), timer.command)
        for reply in decision.replies:
            if reply.token is not None:
                assert reply.token.result is None, f"answered twice: {reply.token}"
                reply.token.result = reply.response

    def send(self, command: Any, name: str = "") -> Call:
        call = Call(name or type(command).__name__)
        self.carry_out(self.shard.decide(msgspec.structs.replace(command, token=call), self.now_ms))
        return call

    def advance(self, ms: int) -> None:
        """Let time pass, firing what falls due on the way."""
        end = self.now_ms + ms
        while due := [(at, order, key) for key, (at, order, _) in self._timers.items() if at <= end]:
            at, _, key = heapq.nsmallest(1, due)[0]
            self.now_ms = max(self.now_ms, at)
            command = self._timers.pop(key)[2]
            self.carry_out(self.shard.decide(command, self.now_ms))
        self.now_ms = end

    # --- requests
    # ------------------------------------------------------------------------------------------------------

    @property
    def group(self) -> ClassicGroup:
        group = self.shard.groups[GROUP]
        assert isinstance(group, ClassicGroup)
        return group

    @property
    def consumers(self) -> ConsumerGroup:
        group = self.shard.groups[GROUP]
        assert isinstance(group, ConsumerGroup)
        return group

    def beat(self, member_id: str, epoch: int, **changes: Any) -> ConsumerHeartbeatResult:
        """A heartbeat that says nothing but the epoch; `owned` by topic name."""
        owned = changes.pop("owned", None)
        if changes.get("topics") is not None:
            changes["topics"] = frozenset(changes["topics"])
        fields: dict[str, Any] = {
            "group_id": GROUP,
            "member_id": member_id,
            "new_member_id": f"consumer-{next(self._ids)}",
            "member_epoch": epoch,
            "client_id": "client",
            "client_host": "/127.0.0.1",
            "owned": None if owned is None else {self.cluster.id_of(t): frozenset(p) for t, p in owned.items()},
        }
        result = self.send(ConsumerHeartbeat(**(fields | changes)), f"beat {member_id}").result
        if isinstance(result, ErrorCode):
            return ConsumerHeartbeatResult(error=result)
        assert isinstance(result, ConsumerHeartbeatResult)
        return result

    def enter(self, member_id: str, *topics: str, **changes: Any) -> ConsumerHeartbeatResult:
        """The heartbeat that joins."""
        fields = {"rebalance_timeout_ms": 60_000, "topics": topics or ("orders",), "owned": {}}
        return self.beat(member_id, 0, **(fields | changes))

    def change_topics(self, **counts: int) -> None:
        """0 partitions: the topic is deleted."""
        if any(name not in self.cluster.counts for name in counts):
            self.cluster.version += 1
        self.cluster.counts.update(counts)
        self.cluster.counts = {name: count for name, count in self.cluster.counts.items() if count}
        self.send(TopicsChanged(topics=frozenset(counts)))

    def parts(self, result: ConsumerHeartbeatResult, topic: str = "orders") -> set[int] | None:
        """What the answer assigns of a topic; None if it says nothing about the assignment."""
        if result.assignment is None:
            return None
        return set(result.assignment.get(self.cluster.id_of(topic), ()))

    def join(self, member_id: str = "", **changes: Any) -> Call:
        protocols = changes.pop("protocols", {"range": subscription("orders")})
        fields: dict[str, Any] = {
            "group_id": GROUP,
            "member_id": member_id,
            "new_member_id": f"member-{next(self._ids)}",
            "group_instance_id": None,
            "client_id": "client",
            "client_host": "/127.0.0.1",
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 60_000,
            "protocol_type": "consumer",
            "protocols": tuple(MemberProtocol(n, m) for n, m in protocols.items()),
            "requires_member_id": False,
            "skips_assignment": True,
        }
        return self.send(JoinGroup(**(fields | changes)), f"join {member_id}")

    def sync(self, joined: JoinResult, assignments: Mapping[str, bytes] | None = None, **changes: Any) -> Call:
        fields: dict[str, Any] = {
            "group_id": GROUP,
            "generation": joined.generation,
            "member_id": joined.member_id,
            "group_instance_id": None,
            "protocol_type": None,
            "protocol_name": None,
            "assignments": dict(assignments or {}),
        }
        return self.send(SyncGroup(**(fields | changes)), f"sync {joined.member_id}")

    def heartbeat(self, member_id: str, generation: int, instance_id: str | None = None) -> ErrorCode:
        command = Heartbeat(group_id=GROUP, generation=generation, member_id=member_id, group_instance_id=instance_id)
        error = self.send(command).result.error
        assert isinstance(error, ErrorCode)
        return error

    def leave(self, *members: tuple[str, str | None]) -> list[ErrorCode]:
        leaving = tuple(LeavingMember(member_id, instance_id) for member_id, instance_id in members)
        result = self.send(LeaveGroup(group_id=GROUP, members=leaving)).result
        assert result.error is ErrorCode.NONE
        return [m.error for m in result.members]

    def commit(
        self,
        offset: int = 1,
        *,
        generation: int = -1,
        member_id: str = "",
        group_id: str = GROUP,
        topic: str = "orders",
        partition: int = 0,
        metadata: str = "",
        **changes: Any,
    ) -> ErrorCode:
        fields: dict[str, Any] = {
            "group_id": group_id,
            "generation": generation,
            "member_id": member_id,
            "group_instance_id": None,
            "offsets": (OffsetToCommit(topic=topic, partition=partition, offset=offset, metadata=metadata),),
        }
        result = self.send(CommitOffsets(**(fields | changes))).result
        if isinstance(result, ErrorCode):
            return result
        (entry,) = result.offsets
        assert isinstance(entry.error, ErrorCode)
        return entry.error

    def committed(self, group_id: str = GROUP) -> dict[TopicPartition, int]:
        result = self.send(FetchOffsets(group_id=group_id, partitions=None)).result
        return {TopicPartition(o.topic, o.partition): o.offset for o in result.offsets}

    # --- whole stories
    # -------------------------------------------------------------------------------------------------

    def stabilize(self, *calls: Call) -> list[JoinResult]:
        """Everybody joined: the leader gives each member its own id as assignment, all sync."""
        self.advance(0)
        joined = [call.result for call in calls]
        assert all(j is not None and j.error is ErrorCode.NONE for j in joined), calls
        leader = next(j for j in joined if j.leader == j.member_id)
        syncs = [self.sync(j) for j in joined if j is not leader]
        syncs.append(self.sync(leader, {m.member_id: m.member_id.encode() for m in leader.members}))
        assert all(s.result.error is ErrorCode.NONE for s in syncs), syncs
        return joined

    def stable_group(self, size: int = 1, **changes: Any) -> list[JoinResult]:
        """`size` dynamic members of one generation, the leader first."""
        calls = [self.join(**changes)]
        if size > 1:
            # The first generation's delay may be 0, so let all come before it is over.
            calls += [self.join(**changes) for _ in range(size - 1)]
        return self.stabilize(*calls)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def make_bench() -> type[Bench]:
    return Bench


@pytest.fixture
def make_cluster() -> type[FakeCluster]:
    return FakeCluster
