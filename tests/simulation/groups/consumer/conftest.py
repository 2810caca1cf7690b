"""Consumer groups and mixed ones under chaos: members of both protocols, topics that come and go, a coordinator that fails over,
clocks that jump, a network that loses and delays.

The coordinator is the real one (`CoordinatorShard`, `GroupShard`, Kafka's record bytes). The observer knows what members were told
and have not let go of yet; it never asks the state machine who owns what.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from mainstem.core.group.classic_state import ClassicGroup
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
    TopicsChanged,
)
from mainstem.core.group.consumer_protocol import read_assignment, read_subscription, write_assignment
from mainstem.core.group.consumer_records import ConsumerMemberRemoved, CurrentAssignmentStored, RegexStored
from mainstem.core.group.metadata_hash import topic_hash
from mainstem.core.group.records import GroupRecord, GroupStored, OffsetStored
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.model.batch import read_header
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID
from mainstem.runtime.coordinator_replay import replay_batch
from mainstem.runtime.coordinator_shard import CoordinatorShard, ShardSettings

GROUP = "g"
CHAOS_MS, CALM_MS, REST_MS = 60_000, 90_000, 20_000
HEARTBEAT_MS, SESSION_MS, REBALANCE_MS = 1_000, 8_000, 12_000
TIMEOUT_MS, BACKOFF_MS = 3_000, 100
CLIENTS_MAX = 6
LOSS = 0.03
EXPRESSIONS = ("a.*", "[ab].*", ".*")
SETTINGS = GroupSettings(group_initial_rebalance_delay_ms=500, offsets_retention_check_interval_ms=10_000_000)

Part = tuple[bytes, int]


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


class Observer:
    """What was written and told. Members are known by the ids they had at the time."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.lives = 0
        self.taken = 0
        self.commits_written = 0
        self.changes_written = 0
        self.groups_turned = 0
        self.is_replaying = False
        self._is_consumer = False
        self._epochs: dict[str, int] = {}
        self._removed: set[str] = set()

    def begin_replay(self) -> None:
        """What was lost with the last coordinator was told to nobody: only the log counts."""
        self.is_replaying = True
        self._epochs, self._removed = {}, set()

    def wrote(self, record: GroupRecord) -> None:
        # Expressions are resolved again every ten minutes of the wall clock, changed or not.
        self.changes_written += not isinstance(record, RegexStored | OffsetStored)
        match record:
            case CurrentAssignmentStored():
                self._turned(True)
                self._removed.discard(record.member_id)
                self._epochs[record.member_id] = record.member_epoch
            case ConsumerMemberRemoved():
                self._removed.add(record.member_id)
            case GroupStored():
                self._turned(False)
                self._epochs = {member.member_id: record.generation for member in record.members}
                self._removed -= self._epochs.keys()
            case OffsetStored() if not self.is_replaying:
                self._committed(record)
            case _:
                pass

    def _turned(self, is_consumer: bool) -> None:
        self.groups_turned += is_consumer is not self._is_consumer and not self.is_replaying
        self._is_consumer = is_consumer

    def _committed(self, record: OffsetStored) -> None:
        member_id, epoch = record.metadata.split("|")
        self.commits_written += 1
        if member_id in self._removed:
            raise self.simulation.ground.Violation(f"a commit of {member_id} was stored after it was put out")
        if self._is_consumer and int(epoch) != self._epochs.get(member_id):
            raise self.simulation.ground.Violation(
                f"a commit of {member_id} in epoch {epoch} was stored, it is in {self._epochs.get(member_id)}"
            )

    def takes(self, client: Client, parts: set[Part]) -> None:
        """A partition is free once whoever had it let go of it, died, or is no member any more.

        Who was put out and does not know it yet may take what it was told before; its commits will tell it.
        """
        self.taken += len(parts)
        members = self.simulation.member_ids()
        if client.member_id not in members:
            return
        for other in self.simulation.clients:
            both = other.owned & parts
            if both and other is not client and other.is_alive and other.member_id in members:
                raise self.simulation.ground.Violation(f"{both} taken by {client.member_id}, {other.member_id} has it")


class ObservedShard(GroupShard):
    observer: Observer | None = None

    def apply(self, record: GroupRecord, *, offset: int, producer_id: int = NO_PRODUCER_ID) -> None:
        if self.observer is not None:
            self.observer.wrote(record)
        super().apply(record, offset=offset, producer_id=producer_id)


class Client:
    """A consumer of either protocol. Of several answers only the one it waits for counts."""

    def __init__(self, simulation: Simulation, name: str, topics: frozenset[str]) -> None:
        self.simulation, self.name, self.topics = simulation, name, topics
        self.member_id = ""
        self.epoch = 0
        self.owned: set[Part] = set()
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
        self, simulation: Simulation, name: str, topics: frozenset[str], regex: str | None, instance_id: str | None
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
        import re

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
                raise self.simulation.ground.Violation(f"{self.name} was told {error}")

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
    """Eager: lets go of everything before it rejoins. If it leads, it shares out by turns."""

    def __init__(self, simulation: Simulation, name: str, topics: frozenset[str]) -> None:
        super().__init__(simulation, name, topics)
        self.epoch = -1
        self.join()

    def join(self) -> None:
        self.owned = set()
        names = sorted(self.topics)
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
            protocols=(MemberProtocol("turns", subscription(names)),),
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

    def _shares(self, result: Any) -> dict[str, bytes]:
        shares: dict[str, dict[str, frozenset[int]]] = {m.member_id: {} for m in result.members}
        wanted = {m.member_id: read_subscription(m.metadata).topics for m in result.members}
        for topic in self.simulation.cluster.topics.values():
            takers = sorted(m for m, topics in wanted.items() if topic.name in topics)
            for at, taker in enumerate(takers):
                shares[taker][topic.name] = frozenset(range(at, topic.partition_count, len(takers)))
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
        self.take({(topics[n].topic_id, i) for n, indexes in found.items() if topics[n] for i in indexes})  # type: ignore[union-attr] - just asked
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


def subscription(names: list[str]) -> bytes:
    """A subscription of the consumer protocol, version 1, of a member that owns nothing."""
    out = (1).to_bytes(2, "big") + len(names).to_bytes(4, "big")
    for name in names:
        out += len(name).to_bytes(2, "big") + name.encode()
    return out + b"\xff\xff\xff\xff" + bytes(4)


class Simulation:
    """One seed. Chaos for a minute, then everything is healed and the group must come to rest."""

    def __init__(self, ground: SimpleNamespace, seed: int, classic_share: float) -> None:
        self.ground, self.chance = ground, random.Random(seed)
        self.classic_share = classic_share
        self.time = ground.Time()
        self.skew_ms = 0
        self.cluster = SimCluster()
        self.topics_changed_at = -1
        self.observer = Observer(self)
        self.log = ground.SimLog(self.time, self.chance)
        self.ids, self.names = itertools.count(1), itertools.count(1)
        self.clients: list[Any] = []
        self.is_calm = False
        self.machine = ObservedShard(SETTINGS, self.cluster)
        self.shard: CoordinatorShard[GroupRecord] | None = None
        self._start_coordinator()

    # --- the coordinator

    def now_ms(self) -> int:
        """The wall clock, which somebody sets now and then."""
        return int(self.time.now_ms()) + self.skew_ms

    def monotonic_ms(self) -> int:
        return int(self.time.monotonic_ms())

    def _start_coordinator(self) -> None:
        self.observer.lives += 1
        machine = ObservedShard(SETTINGS, self.cluster)
        self.observer.begin_replay()
        machine.observer = self.observer
        for raw in self.log.batches:
            replay_batch(raw, read_header(raw), machine, self.ground.FORMAT)
        self.observer.is_replaying = False
        self.machine = machine
        self.shard = CoordinatorShard(
            self.log, machine, self.ground.FORMAT, ShardSettings(), self, self.time, self.ground.Quiet(), self._lost
        )
        self.shard.activate(self.log.log_end_offset - 1)

    def _lost(self, reason: str) -> None:
        if reason != "bug":  # a bug is on its way up by itself
            raise self.ground.Violation(f"the shard was given up: {reason}")

    def _crash(self, down_ms: int) -> None:
        if self.shard is not None:
            shard, self.shard = self.shard, None
            shard.close()
            self.log.fail_over()
            self.time.after(down_ms, self._start_coordinator)

    def member_ids(self) -> set[str]:
        group = self.machine.groups.get(GROUP)
        return set() if group is None else set(group.members)

    def classic_leader(self) -> str | None:
        group = self.machine.groups.get(GROUP)
        return group.leader_id if isinstance(group, ClassicGroup) else None

    # --- the network

    def transmit(self, client: Client, command: Any, deliver: Callable[[Any], None]) -> None:
        def send(result: Any) -> None:
            if self.is_calm or self.chance.random() >= LOSS:
                delay_ms = self.chance.randint(0, 40)
                if not self.is_calm and self.chance.random() < LOSS:
                    delay_ms += TIMEOUT_MS
                self.time.after(delay_ms, lambda: deliver(result))

        def request() -> None:
            shard = self.shard
            if shard is None:
                send(command.refused(ErrorCode.NOT_COORDINATOR))
                return
            waiter = self.ground.SimWaiter(command, send, lambda: self.shard is shard)
            shard.run(msgspec.structs.replace(command, token=waiter), waiter)

        if self.is_calm or self.chance.random() >= LOSS:
            # One connection a client: nothing overtakes; but now and then a request arrives twice, over a second one.
            client.line_ms = max(client.line_ms, self.time.elapsed_ms + self.chance.randint(0, 40))
            self.time.after(client.line_ms - self.time.elapsed_ms, request)
            if not self.is_calm and isinstance(command, ConsumerHeartbeat) and self.chance.random() < LOSS:
                self._repeat_later(command)

    def _repeat_later(self, command: ConsumerHeartbeat) -> None:
        """Nobody waits for the answer of a duplicate. One that joins would let in somebody who is gone, in Kafka as well."""

        def again() -> None:
            if self.shard is not None and command.member_epoch > 0:
                self.shard.run(command)

        self.time.after(self.chance.randint(1, 5_000), again)

    # --- events

    def run(self) -> None:
        self._start_client()
        self.time.after(0, self._act)
        self.time.run_until(CHAOS_MS)
        self.is_calm = True
        self.log.is_refusing = False
        for client in self.clients:
            client.paused_until_ms = 0
        self.time.run_until(CHAOS_MS + CALM_MS - REST_MS)
        written = self.observer.changes_written
        self.time.run_until(CHAOS_MS + CALM_MS)
        if self.observer.changes_written != written:
            raise self.ground.Violation("the group does not come to rest")
        self._check_rest()

    def _act(self) -> None:
        if self.is_calm:
            return
        living = [c for c in self.clients if c.is_alive]
        actions: list[Callable[[], Any]] = [
            lambda: self._crash(self.chance.randint(10, 2_000)),
            self._refuse_appends,
            self._change_topics,
            self._change_topics,
            self._set_clock,
        ]
        if len(living) < CLIENTS_MAX:
            actions += [self._start_client] * 4
        if living:
            client = self.chance.choice(living)
            actions += [
                client.leave,
                client.leave,
                lambda: setattr(client, "is_alive", False),
                lambda: self._pause(client),
                lambda: self._pause(client),
                client.resubscribe,
                lambda: self._restart(client),
                lambda: self._restart(client),
            ]
            actions += [client.commit] * 8
        self.chance.choice(actions)()
        self.time.after(self.chance.randint(100, 2_500), self._act)

    def some_topics(self) -> frozenset[str]:
        return frozenset(self.chance.choice((("a1",), ("b1",), ("a1", "b1"), ("a1", "a2"), ("b1", "c1"))))

    def _start_client(self) -> None:
        name = f"c{next(self.names)}"
        if self.chance.random() < self.classic_share:
            self.clients.append(ClassicClient(self, name, self.some_topics()))
            return
        regex = self.chance.choice(EXPRESSIONS) if self.chance.random() < 0.3 else None
        topics = frozenset() if regex and self.chance.random() < 0.7 else self.some_topics()
        instance_id = f"static-{name}" if self.chance.random() < 0.3 else None
        self.clients.append(ConsumerClient(self, name, topics, regex, instance_id))

    def _restart(self, client: Client) -> None:
        """A static member comes back under its instance id; sometimes its old self is still there."""
        if isinstance(client, ConsumerClient) and client.instance_id is not None:
            if self.chance.random() < 0.8:
                client.leave()
            name = f"c{next(self.names)}"
            again = lambda: self.clients.append(  # noqa: E731
                ConsumerClient(self, name, client.topics, client.regex, client.instance_id)
            )
            self.time.after(self.chance.randint(100, 4_000), again)

    def _pause(self, client: Client) -> None:
        pause_ms = self.chance.randint(500, 20_000)
        client.paused_until_ms = self.time.elapsed_ms + pause_ms
        # The first thing it does when it wakes is to commit what it had in hand.
        self.time.after(pause_ms, client.commit)

    def _refuse_appends(self) -> None:
        self.log.is_refusing = True
        self.time.after(self.chance.randint(100, 2_000), lambda: setattr(self.log, "is_refusing", False))

    def _set_clock(self) -> None:
        self.skew_ms = self.chance.randint(-7_200_000, 7_200_000)

    def _change_topics(self) -> None:
        topics, name = self.cluster.topics, self.chance.choice(("a1", "a2", "b1", "c1"))
        if name not in topics:
            self.cluster.create(name, self.chance.randint(1, 5))
        elif self.chance.random() < 0.3:
            del topics[name]
        elif topics[name].partition_count < 8:
            topics[name] = topics[name]._replace(partition_count=topics[name].partition_count + 1)
        self.topics_changed_at = self.time.elapsed_ms
        if self.shard is not None:
            self.shard.run(TopicsChanged(topics=frozenset({name})))

    # --- rest

    def _check_rest(self) -> None:
        violation = self.ground.Violation
        living = [c for c in self.clients if c.is_alive and not getattr(c, "is_refused", False)]
        group = self.machine.groups.get(GROUP)
        if not living:
            if group is not None and group.state != "Empty":
                raise violation(f"nobody lives, the group is {group.state}")
            return
        if group is None or group.state != "Stable":
            raise violation(f"{len(living)} members live, the group is {group and group.state}")
        if sorted(group.members) != sorted(c.member_id for c in living):
            raise violation(f"members {sorted(group.members)} are not {sorted(c.member_id for c in living)}")
        for client in living:
            if not client.owned <= client.wanted():
                raise violation(f"{client.name} owns {client.owned - client.wanted()} and is not subscribed to it")
        owned = sorted(part for client in living for part in client.owned)
        wanted = sorted({part for client in living for part in client.wanted()})
        if owned != wanted:
            raise violation(f"assigned {owned}, should be {wanted}")


@pytest.fixture
def simulate(ground: SimpleNamespace) -> Callable[..., Simulation]:
    """Run one seed to its end. Raises: Violation."""

    def run(seed: int, classic_share: float = 0.0) -> Simulation:
        simulation = Simulation(ground, seed, classic_share)
        simulation.run()
        return simulation

    return run
