"""Consumers of the classic protocol that join, stall, crash and lie about the past, over a network that loses
messages.
"""

from __future__ import annotations

import itertools
import random
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from group_log import GroupLog
from violation import Violation
from virtual_time import Time

from mainstem.core.group.classic_state import GroupState
from mainstem.core.group.commands import (
    CommitOffsets,
    Heartbeat,
    JoinGroup,
    LeaveGroup,
    LeavingMember,
    MemberProtocol,
    OffsetToCommit,
    SyncGroup,
)
from mainstem.core.group.results import JoinedMember, JoinResult, SyncResult
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parent))

from observed_coordinator import GROUP, Coordinator, Observer, decode_assignment

TOPICS = {"a": 4, "b": 3}
CHAOS_MS, CALM_MS = 60_000, 120_000
HEARTBEAT_MS, BACKOFF_MS, REQUEST_TIMEOUT_MS = 3_000, 100, 5_000
SESSION_MS, REBALANCE_MS = 6_000, 12_000
CLIENTS_MAX = 7
LOSS = 0.02
E_FATAL = (ErrorCode.FENCED_INSTANCE_ID, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def encode_subscription(topics: tuple[str, ...]) -> bytes:
    names = b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    return struct.pack(">hi", 0, len(topics)) + names


def assign(protocol: str | None, members: tuple[JoinedMember, ...]) -> dict[str, bytes]:
    """What a leader does: `range` or `roundrobin` over the topics each member subscribed to."""
    shares: dict[str, list[str]] = {m.member_id: [] for m in members}
    turn = itertools.count()
    for topic, count in TOPICS.items():
        mark = encode_subscription((topic,))[6:]
        takers = sorted(m.member_id for m in members if mark in m.metadata)
        for index in range(count):
            if takers:
                at = index * len(takers) // count if protocol == "range" else next(turn) % len(takers)
                shares[takers[at]].append(f"{topic}-{index}")
    return {member_id: ",".join(share).encode() for member_id, share in shares.items()}


class SimClient:
    """A consumer. What comes back for an older life or an older attempt is ignored, as a client does."""

    def __init__(
        self,
        simulation: Simulation,
        name: str,
        instance_id: str | None,
        topics: tuple[str, ...] | None = None,
    ) -> None:
        self.simulation, self.name, self.instance_id = simulation, name, instance_id
        chance = simulation.chance
        self.version = chance.choice((2, 5, 9))
        self.member_id = ""
        self.generation = -1
        self.is_alive = True
        self.is_stable = False
        self.paused_until_ms = 0
        self.line_ms = 0
        self.assignment: list[TopicPartition] = []
        self.topics = topics or chance.choice((("a",), ("a", "b")))
        self.protocols = chance.choice((("range", "roundrobin"), ("roundrobin", "range"), ("range",)))
        self._attempt = 0
        self._commits = itertools.count()
        self.join()

    @property
    def identity(self) -> str:
        return self.instance_id or self.name

    def _ask(self, command: Any, timeout_ms: int, react: Callable[[Any], None]) -> None:
        """`react(None)` after a timeout. One reaction at most, none after the client moved on."""
        attempt, simulation, pending = self._attempt, self.simulation, [react]

        def once(result: Any) -> None:
            if not self.is_alive or attempt != self._attempt or not pending:
                return
            if simulation.time.elapsed_ms < self.paused_until_ms:
                simulation.time.after(self.paused_until_ms - simulation.time.elapsed_ms, lambda: once(result))
                return
            pending.pop()(result)

        simulation.transmit(self, command, once)
        simulation.time.after(timeout_ms, lambda: once(None))

    def _later(self, ms: int, action: Callable[[], None]) -> None:
        attempt = self._attempt

        def awake() -> None:
            time = self.simulation.time
            if self.is_alive and attempt == self._attempt:
                if time.elapsed_ms < self.paused_until_ms:
                    time.after(self.paused_until_ms - time.elapsed_ms, awake)
                else:
                    action()

        self.simulation.time.after(ms, awake)

    def join(self) -> None:
        self._attempt += 1
        self.is_stable = False
        metadata = encode_subscription(self.topics)
        command = JoinGroup(
            group_id=GROUP,
            member_id=self.member_id,
            new_member_id=f"{self.name}-{next(self.simulation.ids)}",
            group_instance_id=self.instance_id,
            client_id=self.name,
            client_host="/sim",
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            protocol_type="consumer",
            protocols=tuple(MemberProtocol(p, metadata) for p in self.protocols),
            requires_member_id=self.version >= 4,
            skips_assignment=self.version >= 9,
        )
        self._ask(command, REBALANCE_MS + REQUEST_TIMEOUT_MS, self._joined)

    def _joined(self, result: JoinResult | None) -> None:
        error = None if result is None else result.error
        if result is None or self._recover(error):
            if result is None:
                self._later(BACKOFF_MS, self.join)
        elif error is ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = result.member_id
            self.join()
        else:
            self.member_id, self.generation = result.member_id, result.generation
            leads = result.leader == result.member_id and not result.skip_assignment
            shares = assign(result.protocol_name, result.members) if leads else {}
            command = SyncGroup(
                group_id=GROUP,
                generation=self.generation,
                member_id=self.member_id,
                group_instance_id=self.instance_id,
                protocol_type=result.protocol_type,
                protocol_name=result.protocol_name,
                assignments=shares,
            )
            self._ask(command, REQUEST_TIMEOUT_MS + REBALANCE_MS, self._synced)

    def _recover(self, error: ErrorCode | None) -> bool:
        """What a client does about an error of any request; False if there is none it must act upon."""
        if error in (None, ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
            return False
        if error in E_FATAL:
            self.is_alive = False
        else:
            if error is ErrorCode.UNKNOWN_MEMBER_ID:
                self.member_id = ""
            self._attempt += 1
            self._later(BACKOFF_MS, self.join)
        return True

    def _synced(self, result: SyncResult | None) -> None:
        if result is None:
            self.join()
        elif not self._recover(result.error):
            self.is_stable = True
            self.assignment = decode_assignment(result.assignment)
            self._later(HEARTBEAT_MS, self._beat)
            self._later(self.simulation.chance.randint(100, 3_000), self._commit)

    def _beat(self) -> None:
        command = Heartbeat(
            group_id=GROUP,
            generation=self.generation,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
        )

        def react(result: Any) -> None:
            if result is None or not self._recover(result.error):
                self._later(HEARTBEAT_MS, self._beat)

        self._ask(command, REQUEST_TIMEOUT_MS, react)

    def _commit(self) -> None:
        self.send_commit()
        self._later(self.simulation.chance.randint(500, 3_000), self._commit)

    def send_commit(self) -> None:
        """Also sent by those who woke up from a long sleep and think nothing has happened."""
        if not self.assignment:
            return
        partition = self.simulation.chance.choice(self.assignment)
        count = next(self._commits)
        metadata = f"{self.generation}|{self.member_id}|{self.instance_id or ''}|{self.name}.{count}"
        command = CommitOffsets(
            group_id=GROUP,
            generation=self.generation,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            offsets=(
                OffsetToCommit(topic=partition.topic, partition=partition.partition, offset=count, metadata=metadata),
            ),
        )
        self._ask(command, REQUEST_TIMEOUT_MS, lambda result: None)

    def leave(self) -> None:
        self.is_alive = False
        if self.instance_id is None and self.member_id:
            leaving = (LeavingMember(self.member_id, None),)
            self.simulation.transmit(self, LeaveGroup(group_id=GROUP, members=leaving), lambda result: None)


class Simulation:
    """One seed. Chaos for a minute, then everything is healed and the group must come to rest."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.time = Time()
        self.observer = Observer()
        self.log = GroupLog(self.time, self.chance)
        self.coordinator = Coordinator(self.time, self.log, self.observer)
        self.ids = itertools.count(1)
        self.names = itertools.count(1)
        self.clients: list[SimClient] = []
        self.is_calm = False

    def transmit(self, client: SimClient, command: Any, deliver: Callable[[Any], None]) -> None:
        def send(result: Any) -> None:
            self._observe(client, command, result)
            if self.is_calm or self.chance.random() >= LOSS:
                self.time.after(self.chance.randint(0, 40), lambda: deliver(result))

        if self.is_calm or self.chance.random() >= LOSS:
            # One connection a client: nothing overtakes.
            arrives_ms = max(client.line_ms, self.time.elapsed_ms + self.chance.randint(0, 40))
            client.line_ms = arrives_ms
            wait_ms = arrives_ms - self.time.elapsed_ms
            self.time.after(wait_ms, lambda: self.coordinator.request(command, send))

    def _observe(self, client: SimClient, command: Any, result: Any) -> None:
        match command:
            case JoinGroup():
                self.observer.answered_join(client, result)
            case SyncGroup():
                self.observer.answered_sync(client, command.generation, result)
            case CommitOffsets():
                ((asked, answered),) = zip(command.offsets, result.offsets, strict=True)
                partition = TopicPartition(asked.topic, asked.partition)
                self.observer.answered_commit(partition, asked.metadata, answered.error)
            case _:
                pass

    def run(self) -> None:
        self._start_client()
        self.time.after(0, self._act)
        self.time.run_until(CHAOS_MS)
        self.is_calm = True
        self.log.is_refusing = False
        for client in self.clients:
            client.paused_until_ms = 0
        self.time.run_until(CHAOS_MS + CALM_MS)
        self._check_rest()

    def _act(self) -> None:
        if self.is_calm:
            return
        living = [c for c in self.clients if c.is_alive]
        actions: list[Callable[[], None]] = [lambda: self.coordinator.crash(self.chance.randint(10, 3_000))]
        actions += [self._refuse_appends]
        if len(living) < CLIENTS_MAX:
            actions += [self._start_client] * 4
        if living:
            client = self.chance.choice(living)
            actions += [
                client.leave,
                lambda: setattr(client, "is_alive", False),
                lambda: self._pause(client),
                lambda: self._pause(client),
                lambda: self._resubscribe(client),
                lambda: self._restart(client),
            ]
        self.chance.choice(actions)()
        self.time.after(self.chance.randint(200, 5_000), self._act)

    def _start_client(self) -> None:
        name = f"c{next(self.names)}"
        instance_id = f"static-{name}" if self.chance.random() < 0.3 else None
        self.clients.append(SimClient(self, name, instance_id))

    def _restart(self, client: SimClient) -> None:
        """A static member comes back under its instance id; sometimes its old self is still there.

        Its subscription is the same: Kafka does not rebalance for one that changed meanwhile.
        """
        if client.instance_id is not None:
            if self.chance.random() < 0.7:
                client.is_alive = False
            name = f"c{next(self.names)}"
            self.clients.append(SimClient(self, name, client.instance_id, client.topics))

    def _pause(self, client: SimClient) -> None:
        pause_ms = self.chance.randint(500, 25_000)
        client.paused_until_ms = self.time.elapsed_ms + pause_ms
        # The first thing it does when it wakes is to commit what it had in hand.
        self.time.after(pause_ms, lambda: client.send_commit() if client.is_alive else None)

    def _resubscribe(self, client: SimClient) -> None:
        client.topics = self.chance.choice((("a",), ("b",), ("a", "b")))
        client.join()

    def _refuse_appends(self) -> None:
        self.log.is_refusing = True
        self.time.after(self.chance.randint(100, 2_000), lambda: setattr(self.log, "is_refusing", False))

    def _check_rest(self) -> None:
        machine = self.coordinator.machine
        self.observer.check_offsets(machine)
        living = [c for c in self.clients if c.is_alive]
        group = machine.groups.get(GROUP)
        if not living:
            if group is not None and group.state is not GroupState.EMPTY:
                raise Violation(f"nobody lives, the group is {group.state}")
            return
        if group is None or group.state is not GroupState.STABLE:
            raise Violation(f"{len(living)} members live, the group is {group and group.state}")
        if sorted(group.members) != sorted(c.member_id for c in living):
            raise Violation(f"members {sorted(group.members)} are not {sorted(c.member_id for c in living)}")
        if any(not c.is_stable or c.generation != group.generation for c in living):
            raise Violation("a living member is not of the group's generation")
        owned = sorted(p for c in living for p in c.assignment)
        wanted = sorted(TopicPartition(t, n) for t in {t for c in living for t in c.topics} for n in range(TOPICS[t]))
        if owned != wanted:
            raise Violation(f"assigned {owned}, should be {wanted}")
        self._check_replay()

    def _check_replay(self) -> None:
        """What the coordinator holds is what its log says."""
        held = list(self.coordinator.machine.persisted())
        self.log.high_watermark = self.log.log_end_offset
        self.coordinator.crash(0)
        self.coordinator.start()
        if list(self.coordinator.machine.persisted()) != held:
            raise Violation("the coordinator's state is not what its log says")


@pytest.fixture
def simulate() -> Callable[[int], Simulation]:
    """Run one seed to its end. Raises: Violation."""

    def run(seed: int) -> Simulation:
        simulation = Simulation(seed)
        simulation.run()
        return simulation

    return run
