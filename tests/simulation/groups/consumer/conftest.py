"""Consumer groups and mixed ones under chaos: members of both protocols, topics that come and go, a coordinator that fails over,
clocks that jump, a network that loses and delays.

The coordinator is the real one (`CoordinatorShard`, `GroupShard`, Kafka's record bytes).
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from group_log import FORMAT, GroupLog, SimWaiter
from violation import Quiet, Violation, given_up
from virtual_time import Time

from mainstem.core.group.classic_state import ClassicGroup
from mainstem.core.group.commands import ConsumerHeartbeat, TopicsChanged
from mainstem.core.group.records import GroupRecord
from mainstem.core.group.settings import GroupSettings
from mainstem.model.batch import read_header
from mainstem.model.errors import ErrorCode
from mainstem.runtime.coordinator_replay import replay_batch
from mainstem.runtime.coordinator_shard import CoordinatorShard, ShardSettings

sys.path.insert(0, str(Path(__file__).resolve().parent))

from consumer_observer import ObservedShard, Observer
from group_clients import GROUP, TIMEOUT_MS, ClassicClient, Client, ConsumerClient, SimCluster

CHAOS_MS, CALM_MS, REST_MS = 60_000, 90_000, 20_000
CLIENTS_MAX = 6
LOSS = 0.03
EXPRESSIONS = ("a.*", "[ab].*", ".*")
SETTINGS = GroupSettings(
    group_initial_rebalance_delay_ms=500,
    offsets_retention_check_interval_ms=10_000_000,
    # Clocks jump here: what is due after ten minutes of theirs must not disturb the rest that is waited for.
    consumer_regex_refresh_interval_ms=10**12,
)


class Simulation:
    """One seed. Chaos for a minute, then everything is healed and the group must come to rest."""

    def __init__(self, seed: int, classic_share: float) -> None:
        self.chance = random.Random(seed)
        self.classic_share = classic_share
        self.is_cooperative = self.chance.random() < 0.5
        self.time = Time()
        self.skew_ms = 0
        self.cluster = SimCluster()
        self.topics_changed_at = -1
        self.observer = Observer(self)
        self.log = GroupLog(self.time, self.chance)
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
            replay_batch(raw, read_header(raw), machine, FORMAT)
        self.observer.is_replaying = False
        self.machine = machine
        self.shard = CoordinatorShard(self.log, machine, FORMAT, ShardSettings(), self, self.time, Quiet(), given_up)
        self.shard.activate(self.log.log_end_offset - 1)

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
            waiter = SimWaiter(command, send, lambda: self.shard is shard)
            shard.run(msgspec.structs.replace(command, token=waiter), waiter)

        if self.is_calm or self.chance.random() >= LOSS:
            # One connection a client: nothing overtakes; but now and then a request arrives twice, over a second one.
            client.line_ms = max(client.line_ms, self.time.elapsed_ms + self.chance.randint(0, 40))
            self.time.after(client.line_ms - self.time.elapsed_ms, request)
            if not self.is_calm and isinstance(command, ConsumerHeartbeat) and self.chance.random() < LOSS:
                self._repeat_later(client, command)

    def _repeat_later(self, client: Client, command: ConsumerHeartbeat) -> None:
        """A copy that was under way for long, and comes when the member is in another epoch. Nobody waits for its answer.

        In Kafka, too, a late copy does harm in other cases: one that joins lets in somebody who is gone, one that says what its
        member owns acknowledges what it has got since, and one of the present epoch moves it on without its knowledge.
        """

        def again() -> None:
            is_late = command.member_epoch > 0 and command.owned is None and command.member_epoch != client.epoch
            if is_late and self.shard is not None:
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
            raise Violation("the group does not come to rest")
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
        living = [c for c in self.clients if c.is_alive and not getattr(c, "is_refused", False)]
        group = self.machine.groups.get(GROUP)
        if not living:
            if group is not None and group.state != "Empty":
                raise Violation(f"nobody lives, the group is {group.state}")
            return
        if group is None or group.state != "Stable":
            raise Violation(f"{len(living)} members live, the group is {group and group.state}")
        if sorted(group.members) != sorted(c.member_id for c in living):
            raise Violation(f"members {sorted(group.members)} are not {sorted(c.member_id for c in living)}")
        for client in living:
            if not client.owned <= client.wanted():
                raise Violation(f"{client.name} owns {client.owned - client.wanted()} and is not subscribed to it")
        owned = sorted(part for client in living for part in client.owned)
        wanted = sorted({part for client in living for part in client.wanted()})
        if owned != wanted:
            raise Violation(f"assigned {owned}, should be {wanted}")


@pytest.fixture
def simulate() -> Callable[..., Simulation]:
    """Run one seed to its end. Raises: Violation."""

    def run(seed: int, classic_share: float = 0.0) -> Simulation:
        simulation = Simulation(seed, classic_share)
        simulation.run()
        return simulation

    return run
