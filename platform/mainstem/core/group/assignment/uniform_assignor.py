"""As many partitions for everybody, then as few moves as possible. The default of consumer groups.

1. Everybody keeps what it has and still subscribes to.
2. Each free partition goes to the subscriber with the fewest; topics with few subscribers first.
3. While somebody could get one more and somebody else has two more than that, a partition moves between them. They need
   not share a topic: the move may go over others, who give one and get one.

       a: 2  shares t1 with b                a gives one of t1 to b,
       b: 1  shares t1 with a, t2 with c     b gives one of t2 to c:   1 1 1
       c: 0  shares t2 with b

When no such path is left the loads are as even as the subscriptions allow (optimal semi-matching). With equal
subscriptions every path has one step. Source: KIP-848; Kafka's `UniformAssignor`, 4.1, whose third step knows single moves only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from heapq import heapify, heapreplace

from mainstem.core.group.assignment.specification import Assignment, SubscribedMember


def assign(members: Sequence[SubscribedMember], partition_counts: Mapping[bytes, int]) -> Assignment:
    """See `specification.Assignor`."""
    draft = _Draft(members, partition_counts)
    draft.hand_out_free()
    draft.level()
    return draft.finished()


class _Draft:
    """An assignment in the making; members by their index in the order of their ids."""

    def __init__(self, members: Sequence[SubscribedMember], partition_counts: Mapping[bytes, int]) -> None:
        self._members = sorted(members, key=lambda member: member.member_id)
        self._counts = partition_counts
        self._topics = [sorted(t for t in member.topics if t in partition_counts) for member in self._members]
        self._subscribers: dict[bytes, list[int]] = {}
        for index, topics in enumerate(self._topics):
            for topic in topics:
                self._subscribers.setdefault(topic, []).append(index)
        self._loads = [0] * len(self._members)
        self._kept: dict[bytes, dict[int, set[int]]] = {topic: {} for topic in self._subscribers}
        self._new: dict[bytes, dict[int, list[int]]] = {topic: {} for topic in self._subscribers}
        """What each owner of a topic has of it: from before, and since; what is new is moved on first."""
        for index, member in enumerate(self._members):
            for topic in self._topics[index]:
                kept = {p for p in member.assigned.get(topic, ()) if p < partition_counts[topic]}
                if kept:
                    self._kept[topic][index] = kept
                    self._loads[index] += len(kept)

    def hand_out_free(self) -> None:
        for topic in sorted(self._subscribers, key=lambda t: (len(self._subscribers[t]), t)):
            taken = set().union(*self._kept[topic].values())
            by_load = [(self._loads[index], index) for index in self._subscribers[topic]]
            heapify(by_load)
            for partition in range(self._counts[topic]):
                if partition not in taken:
                    load, index = by_load[0]
                    self._give(topic, partition, index)
                    heapreplace(by_load, (load + 1, index))

    def _give(self, topic: bytes, partition: int, index: int) -> None:
        self._new[topic].setdefault(index, []).append(partition)
        self._loads[index] += 1

    def level(self) -> None:
        """Bounded: each move lowers the sum of the squares of all loads."""
        while self._level_once():
            pass

    def _level_once(self) -> bool:
        """Give to everybody what it can get, the emptiest first; False if nothing moved."""
        has_moved = False
        settled: set[int] = set()
        for index in sorted(range(len(self._members)), key=self._loads.__getitem__):
            while index not in settled and self._pull_to(index, settled):
                has_moved = True
        return has_moved

    def _pull_to(self, receiver: int, settled: set[int]) -> bool:
        """Let `receiver` have one more at the cost of one who has at least two more, over the shortest path there is.

        Where there is none, whoever it reaches and has no less can get nothing either: they reach no more than it does.
        """
        if max(self._loads) < self._loads[receiver] + 2:
            return False
        came_from: dict[int, tuple[int, bytes]] = {receiver: (receiver, b"")}
        seen_topics: set[bytes] = set()
        queue = deque([receiver])
        while queue:
            taker = queue.popleft()
            for topic in self._topics[taker]:
                if topic in seen_topics:
                    continue
                seen_topics.add(topic)
                for owner in self._owners(topic):
                    if owner in came_from:
                        continue
                    came_from[owner] = (taker, topic)
                    if self._loads[owner] >= self._loads[receiver] + 2:
                        self._move_along(came_from, owner, receiver)
                        return True
                    queue.append(owner)
        settled.update(index for index in came_from if self._loads[index] >= self._loads[receiver])
        return False

    def _owners(self, topic: bytes) -> list[int]:
        """The fullest first."""
        owners = self._kept[topic].keys() | self._new[topic].keys()
        return sorted(owners, key=lambda index: (-self._loads[index], index))

    def _move_along(self, came_from: Mapping[int, tuple[int, bytes]], giver: int, receiver: int) -> None:
        while giver != receiver:
            taker, topic = came_from[giver]
            self._give(topic, self._take(topic, giver), taker)
            giver = taker

    def _take(self, topic: bytes, index: int) -> int:
        self._loads[index] -= 1
        new = self._new[topic].get(index)
        if new:
            partition = new.pop()
            if not new:
                del self._new[topic][index]
            return partition
        kept = self._kept[topic][index]
        partition = max(kept)
        kept.remove(partition)
        if not kept:
            del self._kept[topic][index]
        return partition

    def finished(self) -> Assignment:
        assignment: Assignment = {member.member_id: {} for member in self._members}
        for topic, owners in self._kept.items():
            for index, partitions in owners.items():
                assignment[self._members[index].member_id][topic] = frozenset(partitions)
        for topic, newcomers in self._new.items():
            for index, added in newcomers.items():
                mine = assignment[self._members[index].member_id]
                mine[topic] = mine.get(topic, frozenset()).union(added)
        return assignment
