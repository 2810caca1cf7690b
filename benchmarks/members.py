"""Members of groups, one each, in raw requests: they join, send heartbeats and commit offsets."""

import struct
import time
from collections import deque
from collections.abc import Callable

import wire_groups
from exchange import Exchange, Loop, Tally, percentile
from wire_groups import Membership

_ATTEMPTS = 600
_RETRY_S = 0.05
_MEMBER_ID_REQUIRED = 79
# coordinator loading or not there, not the coordinator, rebalance in progress, unknown topic while it is made
_RETRIABLE = {3, 14, 15, 16, 27}
_HEARTBEAT_EVERY_S = 3.0
_WARM_UP_S = 1.0


def commit_rate(bootstrap: str, topic: str, count: int, seconds: float) -> dict[str, float]:
    """Commits per second of `count` groups with one commit in flight each, and how long one takes."""
    tally = Tally()
    members = [Member(bootstrap, f"group-{number}", topic, tally) for number in range(count)]
    began = time.monotonic()
    for member in members:
        member.join()
    joined_s = time.monotonic() - began
    loop = Loop(members)
    beat = _Beat(members)
    for member in members:
        member.begin()
    loop.run(_WARM_UP_S, beat.take)
    tally.counting = True
    began = time.perf_counter()
    loop.run(seconds, beat.take)
    elapsed = time.perf_counter() - began
    for member in members:
        member.socket.close()
    latencies_ms = tally.latencies_ms()
    return {
        "join_s": joined_s,
        "commits_per_s": tally.requests / elapsed,
        "p50_ms": percentile(latencies_ms, 0.5),
        "p99_ms": percentile(latencies_ms, 0.99),
    }


class Member(Exchange):
    """Commits the next offset as soon as the last one is committed."""

    def __init__(self, bootstrap: str, group_id: str, topic: str, tally: Tally) -> None:
        super().__init__(bootstrap, 4_096)
        self._group_id = group_id
        self._topic = topic
        self._tally = tally
        self._commits_asked: deque[bool] = deque()
        self._sent_at = 0.0
        self._offset = 0
        self._commit = bytearray()
        self._offset_at = 0
        self._heartbeat = b""

    def join(self) -> None:
        """Find the coordinator and become the only member of the group.

        Raises:
            ValueError: the broker refuses for good.
        """
        self._ask(wire_groups.find_coordinator_request(self._group_id), wire_groups.read_find_coordinator)
        member_id = ""
        for _ in range(_ATTEMPTS):
            answer = self.ask(wire_groups.join_group_request(self._group_id, member_id))
            error, generation_id, member_id = wire_groups.read_join_group(answer)
            if error == 0:
                break
            if error not in (_MEMBER_ID_REQUIRED, *_RETRIABLE):
                raise ValueError(f"JoinGroup was answered with error {error}")
            time.sleep(0 if error == _MEMBER_ID_REQUIRED else _RETRY_S)
        membership = Membership(self._group_id, member_id, generation_id)
        self._ask(wire_groups.sync_group_request(membership), wire_groups.read_error)
        self._heartbeat = wire_groups.heartbeat_request(membership)
        frame, self._offset_at = wire_groups.offset_commit_request(membership, self._topic)
        self._commit = bytearray(frame)
        self._ask(frame, wire_groups.read_offset_commit)

    def _ask(self, request: bytes, read_error: Callable[[bytes], int]) -> None:
        for _ in range(_ATTEMPTS):
            error = read_error(self.ask(request))
            if error not in _RETRIABLE:
                break
            time.sleep(_RETRY_S)
        if error:
            raise ValueError(f"a request of a group member was answered with error {error}")

    def begin(self) -> None:
        self._offset += 1
        struct.pack_into(">q", self._commit, self._offset_at, self._offset)
        self._commits_asked.append(True)
        self._sent_at = time.perf_counter()
        self.write([bytes(self._commit)])

    def beat(self) -> None:
        self._commits_asked.append(False)
        self.write([self._heartbeat])

    def on_filled(self) -> None:
        while self.filled >= 4:
            size = 4 + int.from_bytes(self.buffer[:4], "big")
            if self.filled < size:
                return
            is_commit = self._commits_asked.popleft()
            read_error = wire_groups.read_offset_commit if is_commit else wire_groups.read_error
            error = read_error(self.view[4:size])
            self.consume(size)
            if error:
                raise ValueError(f"{'OffsetCommit' if is_commit else 'Heartbeat'} was answered with error {error}")
            if is_commit:
                self._tally.add(time.perf_counter() - self._sent_at, 1, 1, 0)
                self.begin()


class _Beat:
    """Lets the members send their heartbeats in turn, so that each has sent one every few seconds."""

    def __init__(self, members: list[Member]) -> None:
        self._members = members
        self._next = 0
        self._began = time.perf_counter()

    def take(self) -> bool:
        """Send the heartbeats that are due; never done."""
        per_s = len(self._members) / _HEARTBEAT_EVERY_S
        due = int((time.perf_counter() - self._began) * per_s)
        while self._next < due:
            self._members[self._next % len(self._members)].beat()
            self._next += 1
        return False
