"""Which brokers hold the replicas of new partitions.

Leaders go round all brokers, whose list alternates between racks. The other replicas of a partition follow
at a distance that grows with every round, so that the load of a dead leader spreads over all others; they
stay off the racks that already hold one for as long as there is another rack.

    three brokers, two replicas:   0: 1 2    1: 2 3    2: 3 1    3: 1 3    4: 2 1    5: 3 2
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from mainstem.model.cluster import BrokerRegistration


def place(
    brokers: Iterable[BrokerRegistration], replication_factor: int, partitions: range, start: int
) -> list[tuple[int, ...]]:
    """The replicas of each partition, its preferred leader first.

    `start` shifts the round and is random in production. There must be at least `replication_factor` brokers.
    """
    ordered = alternate_racks(brokers)
    assert 0 < replication_factor <= len(ordered), (replication_factor, len(ordered))
    return [_place_partition(ordered, replication_factor, start + partition) for partition in partitions]


def _place_partition(ordered: Sequence[BrokerRegistration], count: int, turn: int) -> tuple[int, ...]:
    first = turn % len(ordered)
    chosen = [ordered[first]]
    shift = turn // len(ordered)
    others = [
        ordered[(first + 1 + (shift + step) % (len(ordered) - 1)) % len(ordered)] for step in range(len(ordered) - 1)
    ]
    while len(chosen) < count:
        racks = {broker.rack for broker in chosen}
        # With all racks used, or none known, the next broker in line is as good as any.
        broker = next((each for each in others if each.rack not in racks), others[0])
        others.remove(broker)
        chosen.append(broker)
    return tuple(broker.broker_id for broker in chosen)


def alternate_racks(brokers: Iterable[BrokerRegistration]) -> list[BrokerRegistration]:
    """By id, one of each rack in turn: a1 b1 c1 a2 b2 a3."""
    racks: dict[str, list[BrokerRegistration]] = {}
    for broker in sorted(brokers, key=lambda each: each.broker_id):
        racks.setdefault(broker.rack or "", []).append(broker)
    rounds = zip_longest(*(racks[rack] for rack in sorted(racks)))
    return [broker for round_of_racks in rounds for broker in round_of_racks if broker is not None]
