"""Consumers of both protocols, as a simulation drives them: they wait, time out, stall, and believe what they were told last; and
the topics they read."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

from violation import Violation

from mainstem.core.group.cluster_view import ConsumerTimeouts, Topic
from mainstem.core.group.commands import (
    CommitOffsets,
    ConsumerHeartbeat,
    Heartbeat,
    JoinGroup,
    LeaveGroup,
    LeavingMember,
    MemberProtocol,
    OffsetToCommit,
    SyncGroup,
)
from mainstem.core.group.consumer_protocol import read_assignment, read_subscription, write_assignment
from mainstem.core.group.metadata_hash import topic_hash
from mainstem.model.errors import ErrorCode

GROUP = "g"
HEARTBEAT_MS, SESSION_MS, REBALANCE_MS = 1_000, 8_000, 12_000
TIMEOUT_MS, BACKOFF_MS = 3_000, 100

Part = tuple[bytes, int]
"""Topic id and index."""


class SimCluster:
    """Topics that come, grow and go. A name that comes back has another id."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.version = 1
        self._ids = itertools.count(1)
        for name, count in (("a1", 4), ("b1", 3)):
            self.create(name, count)

    def create(self, name: str, count: int) -> None:
        self.topics[name] = Topic(name, f"{name}#{next(self._ids)}".encode().ljust(16, b"."), count)
        self.version += 1

    def topic(self, name: str) -> Topic | None:
        return self.topics.get(name)

    def topic_name(self, topic_id: bytes) -> str | None:
        return next((t.name for t in self.topics.values() if t.topic_id == topic_id), None)

    def topic_names(self) -> Iterator[str]:
        return iter(self.topics)

    def topic_hash(self, name: str) -> int | None:
        topic = self.topics.get(name)
        return None if topic is None else topic_hash(name, topic.topic_id, [()] * topic.partition_count)

    def consumer_timeouts(self, group_id: str) -> ConsumerTimeouts:
        return ConsumerTimeouts(HEARTBEAT_MS, SESSION_MS)

    def parts(self, name: str) -> set[Part]:
        topic = self.topics.get(name)
        return set() if topic is None else {(topic.topic_id, n) for n in range(topic.partition_count)}


class Client:
    """A consumer of either protocol. Of several answers only the one it waits for counts."""

    def __init__(self, simulation: Any, name: str, topics: frozenset[str]) -> None:
        self.simulation, self.name, self.topics = simulation, name, topics
        self.member_id = ""
        self.epoch = 0
        self.owned: set[Part] = set()
        self.lost: set[Part] = set()
        """What it owned when it was put out, without knowing that yet."""
        self.is_alive = True
        self.instance_id: str | None = None
        self.paused_until_ms = 0
        self.line_ms = 0
        self._attempt = 0
        self._commits = itertools.count()

    def ask(self, command: Any, timeout_ms: int, react: Callable[[Any], None]) -> None:
        """`react(None)` after a timeout."""
        self._attempt += 1
        attempt, simulation = self._attempt, self.simulation

        def once(result: Any) -> None:
            if not self.is_alive or attempt != self._attempt:
                return
            if simulation.time.elapsed_ms < self.paused_until_ms:
                simulation.time.after(self.paused_until_ms - simulation.time.elapsed_ms, lambda: once(result))
                return
            self._attempt += 1
            react(result)

        simulation.transmit(self, command, once)
        simulation.time.after(timeout_ms, lambda: once(None))

    def later(self, ms: int, action: Callable[[], None]) -> None:
        attempt, time = self._attempt, self.simulation.time

        def awake() -> None:
            if self.is_alive and attempt == self._attempt:
                if time.elapsed_ms < self.paused_until_ms:
                    time.after(self.paused_until_ms - time.elapsed_ms, awake)
                else:
                    action()

        time.after(ms, awake)

    def take(self, parts: set[Part]) -> None:
        self.simulation.observer.takes(self, parts - self.owned)
        self.owned |= parts
        self.lost -= parts

    def commit(self) -> None:
        """Also sent by those who woke up from a long sleep and think nothing has happened."""
        if not self.owned or not self.is_alive:
            return
        topic_id, index = self.simulation.chance.choice(sorted(self.owned))
        command = CommitOffsets(
            group_id=GROUP,
            generation=self.epoch,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            offsets=(
                OffsetToCommit(
                    topic=topic_id.decode(),
                    partition=index,
                    offset=next(self._commits),
                    metadata=f"{self.member_id}|{self.epoch}",
                ),
            ),
        )
        self.simulation.transmit(self, command, lambda result: None)

    def wanted(self) -> set[Part]:
        return {part for name in self.topics for part in self.simulation.cluster.parts(name)}

    def leave(self) -> None:
        raise AssertionError("each protocol leaves in its own way")


class ConsumerClient(Client):
    """KIP-848: heartbeats, revocations that take a while, full requests after a silence."""

    def __init__(
        self, simulation: Any, name: str, topics: frozenset[str], regex: str | None, instance_id: str | None
    ) -> None:
        super().__init__(simulation, name, topics)
        self.member_id, self.instance_id, self.regex = name, instance_id, regex
        self.assignor = simulation.chance.choice((None, "uniform", "range"))
        self.is_refused = False
        self._told: set[Part] = set()
        self._is_revoking = False
        self._says_all = True
        self._says_owned = False
        self.beat()

    def wanted(self) -> set[Part]:
        names = [n for n in self.simulation.cluster.topics if self.regex and re.fullmatch(self.regex, n)]
        return super().wanted() | {part for name in names for part in self.simulation.cluster.parts(name)}

    def beat(self) -> None:
        says_all = self._says_all or self.epoch == 0
        owned: dict[bytes, frozenset[int]] | None = None
        if says_all or self._says_owned:
            owned = {}
            for topic_id, index in self.owned:
                owned[topic_id] = owned.get(topic_id, frozenset()) | {index}
        command = ConsumerHeartbeat(
            group_id=GROUP,
            member_id=self.member_id,
            new_member_id="",
            member_epoch=self.epoch,
            instance_id=self.instance_id,
            rebalance_timeout_ms=REBALANCE_MS if says_all else -1,
            topics=self.topics if says_all else None,
            regex=self.regex if says_all else None,
            server_assignor=self.assignor if says_all else None,
            owned=owned,
            client_id=self.name,
            client_host="/sim",
        )
        subscribed = self.topics
        self.ask(command, TIMEOUT_MS, lambda result: self._answered(result, subscribed))

    def _answered(self, result: Any, subscribed: frozenset[str]) -> None:
        error = None if result is None else result.error
        match error:
            case ErrorCode.NONE:
                # It may have changed its mind while it waited.
                self._says_all = self.topics != subscribed
                self._says_owned = self.is_refused = False
                self.epoch = result.member_epoch
                if result.assignment is not None:
                    self._told = {(t, n) for t, indexes in result.assignment.items() for n in indexes}
                    self._reconcile()
                self.later(0 if self._says_owned else HEARTBEAT_MS, self.beat)
            case None | ErrorCode.NOT_COORDINATOR | ErrorCode.COORDINATOR_NOT_AVAILABLE:
                self._says_all = True
                self.later(BACKOFF_MS, self.beat)
            case (
                ErrorCode.UNKNOWN_MEMBER_ID
                | ErrorCode.FENCED_MEMBER_EPOCH
                | ErrorCode.GROUP_ID_NOT_FOUND
                | ErrorCode.UNRELEASED_INSTANCE_ID
            ):
                self.is_refused = error is ErrorCode.UNRELEASED_INSTANCE_ID
                self.owned, self._told = set(), set()
                self.epoch, self._says_all = 0, True
                self.later(BACKOFF_MS * 5, self.beat)
            case ErrorCode.FENCED_INSTANCE_ID:
                self.is_alive = False
            case _:
                raise Violation(f"{self.name} was told {error}")

    def _reconcile(self) -> None:
        """What has to go goes first, after the application was asked; only then is the rest taken."""
        if self._is_revoking:
            return
        if self.owned <= self._told:
            self._settle()
            return
        self._is_revoking = True
        epoch, time = self.epoch, self.simulation.time
        time.after(self.simulation.chance.choice((0, 300, 1_500)), lambda: self._revoked(epoch))

    def _revoked(self, epoch: int) -> None:
        self._is_revoking = False
        if self.is_alive and self.epoch:
            self.owned &= self._told
            self._settle()
            self._says_owned = True

    def _settle(self) -> None:
        if not self._told <= self.owned:
            self.take(set(self._told))
            self._says_owned = True

    def leave(self) -> None:
        epoch = -1 if self.instance_id is None or self.simulation.chance.random() < 0.3 else -2
        self.owned, self.is_alive = set(), False
        command = ConsumerHeartbeat(
            group_id=GROUP,
            member_id=self.member_id,
            new_member_id="",
            member_epoch=epoch,
            instance_id=self.instance_id,
            client_id=self.name,
            client_host="/sim",
        )
        self.simulation.transmit(self, command, lambda result: None)

    def resubscribe(self) -> None:
        self.topics = self.simulation.some_topics()
        self._says_all = True


class ClassicClient(Client):
    """If it leads, it shares out by turns. Eager: it lets go of everything before it rejoins. Cooperative: it keeps what stays its
    own, and rejoins once more when it let go of something (KIP-429)."""

    def __init__(self, simulation: Any, name: str, topics: frozenset[str]) -> None:
        super().__init__(simulation, name, topics)
        self.epoch = -1
        self.join()

    def join(self) -> None:
        if not self.simulation.is_cooperative:
            self.owned = set()
        metadata = subscription(sorted(self.topics), self._owned_by_name(), self.epoch)
        command = JoinGroup(
            group_id=GROUP,
            member_id=self.member_id,
            new_member_id=f"{self.name}-{next(self.simulation.ids)}",
            group_instance_id=None,
            client_id=self.name,
            client_host="/sim",
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            protocol_type="consumer",
            protocols=(MemberProtocol("turns", metadata),),
            requires_member_id=True,
            skips_assignment=True,
        )
        self.ask(command, REBALANCE_MS + TIMEOUT_MS, self._joined)

    def _joined(self, result: Any) -> None:
        if result is not None and result.error is ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = result.member_id
            self.join()
        elif not self._recovers(result):
            self.member_id, self.epoch = result.member_id, result.generation
            leads = result.leader == result.member_id and not result.skip_assignment
            command = SyncGroup(
                group_id=GROUP,
                generation=self.epoch,
                member_id=self.member_id,
                group_instance_id=None,
                protocol_type="consumer",
                protocol_name="turns",
                assignments=self._shares(result) if leads else {},
            )
            self.ask(command, REBALANCE_MS + TIMEOUT_MS, self._synced)

    def _owned_by_name(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for topic_id, index in sorted(self.owned):
            name = self.simulation.cluster.topic_name(topic_id)
            if name is not None:
                found.setdefault(name, []).append(index)
        return found

    def _shares(self, result: Any) -> dict[str, bytes]:
        """A cooperative leader gives nothing that another member still has."""
        said = {m.member_id: read_subscription(m.metadata) for m in result.members}
        owners: dict[tuple[str, int], str] = {}
        for member_id, found in sorted(said.items(), key=lambda item: item[1].generation):
            owners.update({(name, n): member_id for name, indexes in found.owned.items() for n in indexes})
        shares: dict[str, dict[str, frozenset[int]]] = {m.member_id: {} for m in result.members}
        for topic in self.simulation.cluster.topics.values():
            takers = sorted(m for m, found in said.items() if topic.name in found.topics)
            for at, taker in enumerate(takers):
                mine = range(at, topic.partition_count, len(takers))
                shares[taker][topic.name] = frozenset(n for n in mine if owners.get((topic.name, n), taker) == taker)
        return {m: write_assignment(share, 0) for m, share in shares.items()}

    def _recovers(self, result: Any) -> bool:
        error = None if result is None else result.error
        if error is ErrorCode.NONE:
            return False
        if error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION):
            self.owned = set()
        if error is ErrorCode.UNKNOWN_MEMBER_ID:
            self.member_id = ""
        self.later(BACKOFF_MS, self.join)
        return True

    def _synced(self, result: Any) -> None:
        if self._recovers(result):
            return
        found = read_assignment(result.assignment).partitions if result.assignment else {}
        topics = {name: self.simulation.cluster.topic(name) for name in found}
        told = {(topics[n].topic_id, i) for n, indexes in found.items() if topics[n] for i in indexes}
        must_rejoin = not self.owned <= told
        self.owned &= told
        self.take(told)
        if must_rejoin:
            self.later(0, self.join)
        else:
            self.later(HEARTBEAT_MS, self._beat)

    def _beat(self) -> None:
        command = Heartbeat(group_id=GROUP, generation=self.epoch, member_id=self.member_id, group_instance_id=None)

        def react(result: Any) -> None:
            if result is None or result.error in (ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE):
                self.later(BACKOFF_MS, self._beat)
            elif not self._recovers(result):
                # The leader of a classic group watches the topics, as a consumer's metadata updates make it do.
                stale = (
                    self.simulation.classic_leader() == self.member_id
                    and self.simulation.topics_changed_at > self._since
                )
                self.later(0 if stale else HEARTBEAT_MS, self.join if stale else self._beat)

        self._since = self.simulation.time.elapsed_ms - HEARTBEAT_MS * 2
        self.ask(command, TIMEOUT_MS, react)

    def leave(self) -> None:
        self.owned, self.is_alive = set(), False
        leaving = (LeavingMember(self.member_id, None),)
        self.simulation.transmit(self, LeaveGroup(group_id=GROUP, members=leaving), lambda result: None)

    def resubscribe(self) -> None:
        self.topics = self.simulation.some_topics()
        self.join()


def subscription(names: list[str], owned: dict[str, list[int]], generation: int) -> bytes:
    """A subscription of the consumer protocol, version 2."""
    out = (2).to_bytes(2, "big") + len(names).to_bytes(4, "big")
    for name in names:
        out += len(name).to_bytes(2, "big") + name.encode()
    out += b"\xff\xff\xff\xff" + len(owned).to_bytes(4, "big")
    for name, indexes in owned.items():
        out += len(name).to_bytes(2, "big") + name.encode() + len(indexes).to_bytes(4, "big")
        out += b"".join(index.to_bytes(4, "big") for index in indexes)
    return out + generation.to_bytes(4, "big", signed=True)
