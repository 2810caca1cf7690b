"""Large groups and many groups, in raw requests from this process: `groups_scale.py --brokers mainstem kafka`.

One of the consumer protocol (KIP-848): how long until everybody has its part after one more member joined a stable group.
Many of the classic protocol: do they stay as they are while producers write as fast as they can.
"""

import argparse
import asyncio
import itertools
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measurements import current_commit
from subjects import SUBJECTS, BrokerNode, Topics, new_broker

from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import decode, encode, request_schema, response_schema
from mainstem.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from mainstem.wire.messages.find_coordinator import FindCoordinatorRequest
from mainstem.wire.messages.heartbeat import HeartbeatRequest
from mainstem.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from mainstem.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

TOPIC = "scale"
TIMEOUT_S = 60.0
CLASSIC_MEMBERS = 10
CLASSIC_HEARTBEAT_S = 3.0
UNKNOWN_MEMBER_ID, MEMBER_ID_REQUIRED = 25, 79
NOT_THERE_YET = {14, 15, 16, 27}
# The ten members of a group join within this time, so that its first generation has them all.
OVERRIDES = {"group.initial.rebalance.delay.ms": "50"}
PRODUCER = """
import sys
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": sys.argv[1], "linger.ms": 5})
while True:
    try:
        producer.produce(sys.argv[2], bytes(1000))
    except BufferError:
        producer.poll(0.1)
"""


class Wire:
    """One connection; answers come in the order of the requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count()
        self._waiting: asyncio.Queue[tuple[ApiKey, int, asyncio.Future[Any]]] = asyncio.Queue()
        self._receiving = asyncio.create_task(self._receive())

    @classmethod
    async def open(cls, bootstrap: str) -> "Wire":
        host, port = bootstrap.rsplit(":", 1)
        return cls(*await asyncio.open_connection(host, int(port)))

    async def ask(self, api: ApiKey, version: int, message: Any) -> Any:
        schema = request_schema(api)
        head = struct.pack(">hhih", api, version, next(self._numbers), -1)
        if version >= schema.flexible_from:
            head += b"\0"
        frame = head + encode(schema, version, message)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((api, version, answer))
        self._writer.write(struct.pack(">i", len(frame)) + frame)
        # `asyncio.wait_for` may swallow a cancellation that comes together with the answer.
        async with asyncio.timeout(TIMEOUT_S):
            return await answer

    async def _receive(self) -> None:
        while True:
            (size,) = struct.unpack(">i", await self._reader.readexactly(4))
            frame = await self._reader.readexactly(size)
            api, version, answer = self._waiting.get_nowait()
            schema = response_schema(api)
            at = 5 if version >= schema.flexible_from else 4
            if not answer.done():
                answer.set_result(decode(schema, version, memoryview(frame), at))

    async def close(self) -> None:
        self._receiving.cancel()
        self._writer.close()


async def until(ask: Callable[[], Any], codes: set[int] = NOT_THERE_YET) -> Any:
    """Asks again while the coordinator is not ready."""
    deadline = time.monotonic() + TIMEOUT_S
    while (answer := await ask()).error_code in codes:
        if time.monotonic() > deadline:
            raise TimeoutError(f"error {answer.error_code} for {TIMEOUT_S:.0f} s")
        await asyncio.sleep(0.05)
    return answer


class Member:
    """A member of a consumer group: calls in as often as it is told, acknowledges at once what it gives up."""

    def __init__(self, wire: Wire, group: str, name: str) -> None:
        self._wire, self._group, self.name = wire, group, name
        self.epoch = 0
        self.owned: dict[bytes, set[int]] = {}
        self.slowest_s = 0.0
        self.changed_at = 0.0
        self._interval_s = 0.0

    async def run(self) -> None:
        must_say = True
        while True:
            owned = [TopicPartitions(topic_id=t, partitions=sorted(p)) for t, p in self.owned.items()]
            joins = self.epoch == 0
            request = ConsumerGroupHeartbeatRequest(
                group_id=self._group,
                member_id=self.name,
                member_epoch=self.epoch,
                rebalance_timeout_ms=60_000 if joins else -1,
                subscribed_topic_names=[TOPIC] if joins else None,
                topic_partitions=owned if must_say or joins else None,
            )
            began = time.monotonic()
            answer = await until(lambda asked=request: self._wire.ask(ApiKey.CONSUMER_GROUP_HEARTBEAT, 1, asked))
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            if answer.error_code:
                raise ValueError(f"{self.name}: error {answer.error_code} {answer.error_message}")
            self.epoch, self._interval_s = answer.member_epoch, answer.heartbeat_interval_ms / 1000
            must_say = answer.assignment is not None
            if answer.assignment is not None:
                told = {t.topic_id: set(t.partitions) for t in answer.assignment.topic_partitions}
                if told != self.owned:
                    self.changed_at = time.monotonic()
                self.owned = told
            if not must_say:
                await asyncio.sleep(self._interval_s)

    @property
    def count(self) -> int:
        return sum(map(len, self.owned.values()))


async def one_joins(bootstrap: str, group: str, size: int, partitions: int) -> dict[str, float]:
    """Seconds from the join of one more member until all partitions have their new owners and everybody is in the new epoch."""
    wires = [await Wire.open(bootstrap) for _ in range(20)]
    await until(lambda: wires[0].ask(ApiKey.FIND_COORDINATOR, 2, FindCoordinatorRequest(key=group)))
    members = [Member(wires[n % len(wires)], group, f"member-{n:04}") for n in range(size)]
    tasks = []
    try:
        began = time.monotonic()
        for member in members:
            tasks.append(asyncio.create_task(member.run()))
            # They start one after the other, so that their heartbeats are spread as in life.
            await asyncio.sleep(4.0 / size)
        await settle(tasks, members, partitions)
        formed_s = time.monotonic() - began
        await asyncio.sleep(6.0)
        for member in members:
            member.slowest_s = 0.0
        newcomer = Member(wires[0], group, "newcomer")
        began = time.monotonic()
        tasks.append(asyncio.create_task(newcomer.run()))
        members.append(newcomer)
        await settle(tasks, members, partitions)
        return {
            "formed_s": formed_s,
            "settled_s": time.monotonic() - began,
            "slowest_heartbeat_ms": max(member.slowest_s for member in members) * 1000,
        }
    finally:
        await finish(tasks, wires)


async def settle(tasks: Sequence[asyncio.Task[None]], members: Sequence[Member], partitions: int) -> None:
    """Until every partition has one owner, shared evenly, and all members are in one epoch."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        counts = [member.count for member in members]
        owned = {(topic, n) for member in members for topic, indexes in member.owned.items() for n in indexes}
        is_even = sum(counts) == len(owned) == partitions and max(counts) - min(counts) <= 1
        if is_even and len({member.epoch for member in members}) == 1:
            return
        for task in tasks:
            if task.done():
                task.result()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(owned)} of {partitions} partitions are owned after {TIMEOUT_S:.0f} s")
        await asyncio.sleep(0.01)


class ClassicMember:
    """A member of a classic group: rejoins as soon as a heartbeat tells it to."""

    def __init__(self, wire: Wire, group: str) -> None:
        self._wire, self._group = wire, group
        self.generation = -1

    async def run(self) -> None:
        member_id = ""
        while True:
            joined = await join(self._wire, self._group, member_id)
            member_id = "" if joined.error_code == UNKNOWN_MEMBER_ID else joined.member_id
            if joined.error_code:
                continue
            synced = await sync(self._wire, self._group, joined)
            if synced.error_code:
                continue
            self.generation = joined.generation_id
            request = HeartbeatRequest(group_id=self._group, generation_id=joined.generation_id, member_id=member_id)
            error = 0
            while not error:
                await asyncio.sleep(CLASSIC_HEARTBEAT_S)
                error = (await self._wire.ask(ApiKey.HEARTBEAT, 3, request)).error_code


async def one_joins_classic(bootstrap: str, group: str, size: int) -> dict[str, float]:
    """Seconds from the join of one more member until all are in one new generation, with heartbeats every three seconds."""
    wires = [await Wire.open(bootstrap) for _ in range(size + 1)]
    await until(lambda: wires[0].ask(ApiKey.FIND_COORDINATOR, 2, FindCoordinatorRequest(key=group)))
    members = [ClassicMember(wire, group) for wire in wires]
    tasks: list[asyncio.Task[None]] = []
    try:
        for count in (size, size + 1):
            began = time.monotonic()
            tasks += [asyncio.create_task(member.run()) for member in members[len(tasks) : count]]
            before = {member.generation for member in members}
            while len(found := {member.generation for member in members[:count]}) > 1 or found <= before:
                for task in tasks:
                    if task.done():
                        task.result()
                if time.monotonic() - began > TIMEOUT_S:
                    raise TimeoutError(f"the members are in generations {sorted(found)}")
                await asyncio.sleep(0.01)
            took_s = time.monotonic() - began
            if count == size:
                await asyncio.sleep(CLASSIC_HEARTBEAT_S)
        return {"settled_s": took_s}
    finally:
        await finish(tasks, wires)


async def many_stay(bootstrap: str, groups: int, seconds: float) -> dict[str, float]:
    """Heartbeats of `groups` classic groups for a while, as producers write: errors, and how slow the slowest was."""
    wires = [await Wire.open(bootstrap) for _ in range(CLASSIC_MEMBERS)]
    began = time.monotonic()
    joined = [member for n in range(groups) for member in await form(wires, f"classic-{n}")]
    formed_s = time.monotonic() - began
    producing = await asyncio.create_subprocess_exec(sys.executable, "-c", PRODUCER, bootstrap, TOPIC)
    try:
        errors, slowest_s, rounds = 0, 0.0, 0
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            began = time.monotonic()
            for found, took_s in await asyncio.gather(*(beat(*member) for member in joined)):
                errors += found != 0
                slowest_s = max(slowest_s, took_s)
            rounds += 1
            await asyncio.sleep(max(0.0, 3.0 - (time.monotonic() - began)))
        return {
            "formed_s": formed_s,
            "heartbeats": float(rounds * len(joined)),
            "errors": float(errors),
            "slowest_round_ms": slowest_s * 1000,
            "producing": float(producing.returncode is None),
        }
    finally:
        if producing.returncode is None:
            producing.terminate()
        await producing.wait()
        await finish((), wires)


async def form(wires: Sequence[Wire], group: str) -> list[tuple[Wire, HeartbeatRequest]]:
    """A classic group with one member on each connection, in one generation."""
    await until(lambda: wires[0].ask(ApiKey.FIND_COORDINATOR, 2, FindCoordinatorRequest(key=group)))
    ids = [""] * len(wires)
    while True:
        joins = [join(wire, group, member_id) for wire, member_id in zip(wires, ids, strict=True)]
        answers = await asyncio.gather(*joins)
        ids = ["" if answer.error_code == UNKNOWN_MEMBER_ID else answer.member_id for answer in answers]
        if {answer.error_code for answer in answers} != {0} or len({answer.generation_id for answer in answers}) != 1:
            continue
        syncs = [sync(wire, group, answer) for wire, answer in zip(wires, answers, strict=True)]
        if not any(answer.error_code for answer in await asyncio.gather(*syncs)):
            break
    return [
        (wire, HeartbeatRequest(group_id=group, generation_id=a.generation_id, member_id=a.member_id))
        for wire, a in zip(wires, answers, strict=True)
    ]


async def join(wire: Wire, group: str, member_id: str) -> Any:
    request = JoinGroupRequest(
        group_id=group,
        session_timeout_ms=180_000,
        rebalance_timeout_ms=60_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=struct.pack(">hii", 0, 0, -1))],
    )
    answer = await wire.ask(ApiKey.JOIN_GROUP, 5, request)
    if answer.error_code not in (0, MEMBER_ID_REQUIRED, UNKNOWN_MEMBER_ID, *NOT_THERE_YET):
        raise ValueError(f"JoinGroup was answered with error {answer.error_code}")
    return answer


async def sync(wire: Wire, group: str, joined: Any) -> Any:
    assignments = [SyncGroupRequestAssignment(member_id=m.member_id, assignment=b"") for m in joined.members]
    request = SyncGroupRequest(
        group_id=group, generation_id=joined.generation_id, member_id=joined.member_id, assignments=assignments
    )
    return await wire.ask(ApiKey.SYNC_GROUP, 3, request)


async def beat(wire: Wire, request: HeartbeatRequest) -> tuple[int, float]:
    began = time.monotonic()
    answer = await wire.ask(ApiKey.HEARTBEAT, 3, request)
    return answer.error_code, time.monotonic() - began


async def finish(tasks: Sequence[asyncio.Task[None]], wires: Sequence[Wire]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for wire in wires:
        await wire.close()


async def measure(broker: BrokerNode, options: argparse.Namespace) -> None:
    Topics(broker.bootstrap).create(TOPIC, options.partitions, {"retention.bytes": "50000000"})
    for number in range(options.rounds if options.members else 0):
        found = await one_joins(broker.bootstrap, f"large-{number}", options.members, options.partitions)
        print(f"{broker.name} one joins {options.members}, round {number + 1}: {found}", flush=True)
        found = await one_joins_classic(broker.bootstrap, f"large-classic-{number}", options.members)
        print(f"{broker.name} one joins {options.members} classic, round {number + 1}: {found}", flush=True)
    if options.groups:
        found = await many_stay(broker.bootstrap, options.groups, options.seconds)
        print(f"{broker.name} {options.groups} groups of {CLASSIC_MEMBERS}: {found}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", nargs="+", choices=SUBJECTS, default=["mainstem"])
    parser.add_argument("--members", type=int, default=200, help="of the large group; 0 leaves it out")
    parser.add_argument("--partitions", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--groups", type=int, default=500, help="classic groups of ten; 0 leaves them out")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    print(f"commit {current_commit()}")
    for subject in options.brokers:
        with tempfile.TemporaryDirectory() as folder, new_broker(subject, Path(folder), OVERRIDES) as broker:
            asyncio.run(measure(broker, options))


if __name__ == "__main__":
    main()
