"""Which member of a group should have which partition.

Computed by whoever changes the members, and stored with that change: everybody else only reads it.

    members a, b read topics of 4 partitions      a: 0 1   b: 2 3
    c comes                                       a: 0 1   b: 2     c: 3     what a and b keep does not move
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

Target = dict[str, list[str]]
"""By topic and incarnation: the member of each partition."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """`order` counts up as members come; `beats` as they show that they live. `topics`: how many partitions they have, by
    topic and incarnation."""

    order: int
    topics: dict[str, int]
    beats: int


def shares(members: Mapping[str, Member], previous: Target) -> Target:
    """Topics of equal counts that the same members read go together, partition n of them to one member. Within them shares are
    equal up to one, and as many as possible stay where they were."""
    readers: dict[tuple[str, int], list[str]] = {}
    for name, member in sorted(members.items(), key=lambda one: one[1].order):
        for topic, count in member.topics.items():
            readers.setdefault((topic, count), []).append(name)
    bundles: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for (topic, count), names in sorted(readers.items()):
        bundles.setdefault((count, tuple(names)), []).append(topic)
    load = dict.fromkeys(members, 0)
    target: Target = {}
    for (count, among), topics in bundles.items():
        before = next((previous[topic] for topic in topics if len(previous.get(topic, ())) == count), [""] * count)
        owners = _shared(before, among, load)
        target.update(dict.fromkeys(topics, owners))
        for name in owners:
            load[name] += len(topics)
    return target


def _shared(before: Sequence[str], names: Sequence[str], load: Mapping[str, int]) -> list[str]:
    """Who has the most, and then who has the least of other topics, gets one more if they do not come out even."""
    least, more = divmod(len(before), len(names))
    order = sorted(names, key=lambda name: (-before.count(name), load[name], names.index(name)))
    room = {name: least + (place < more) for place, name in enumerate(order)}
    owners: list[str] = []
    for name in before:
        stays = room.get(name, 0) > 0
        owners.append(name if stays else "")
        if stays:
            room[name] -= 1
    free = iter([name for name in order for _ in range(room[name])])
    return [name or next(free) for name in owners]
