"""Both assignors by properties: every partition has one owner who subscribes to it, loads are even, little moves."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.group.assignment import ASSIGNORS, Assignment, SubscribedMember

TOPICS = [bytes([n]) * 16 for n in range(5)]


def member(
    member_id: str, topics: str, assigned: Mapping[bytes, frozenset[int]] | None = None, instance: str | None = None
):
    ids = frozenset(TOPICS[int(n)] for n in topics)
    return SubscribedMember(member_id=member_id, group_instance_id=instance, topics=ids, assigned=assigned or {})


def counts(*sizes: int) -> dict[bytes, int]:
    return dict(zip(TOPICS, sizes, strict=False))


def loads(assignment: Assignment) -> dict[str, int]:
    return {m: sum(map(len, topics.values())) for m, topics in assignment.items()}


def next_members(members: list[SubscribedMember], assignment: Assignment) -> list[SubscribedMember]:
    return [
        SubscribedMember(
            member_id=m.member_id,
            group_instance_id=m.group_instance_id,
            topics=m.topics,
            assigned=assignment.get(m.member_id, {}),
        )
        for m in members
    ]


def moved(before: Assignment, after: Assignment) -> int:
    """Partitions that have an owner before and another one after."""
    owners = {(t, p): m for m, topics in before.items() for t, ps in topics.items() for p in ps}
    now = {(t, p): m for m, topics in after.items() for t, ps in topics.items() for p in ps}
    return sum(now.get(place, owner) != owner for place, owner in owners.items())


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[SubscribedMember], dict[bytes, int]]:
    """Any subscriptions, and any assignment of before in which no partition has two owners."""
    partition_counts = dict(zip(TOPICS, draw(st.lists(st.integers(0, 9), min_size=1, max_size=5)), strict=False))
    names = draw(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=8, unique=True))
    owned: dict[str, dict[bytes, set[int]]] = {name: {} for name in names}
    for topic in TOPICS:
        for partition in range(draw(st.integers(0, 10))):
            owner = draw(st.sampled_from([*names, ""]))
            if owner:
                owned[owner].setdefault(topic, set()).add(partition)
    members = [
        SubscribedMember(
            member_id=name,
            group_instance_id=draw(st.sampled_from([None, f"i-{name}"])),
            topics=draw(st.frozensets(st.sampled_from(TOPICS))),
            assigned={t: frozenset(ps) for t, ps in owned[name].items()},
        )
        for name in names
    ]
    return members, partition_counts


@pytest.mark.parametrize("name", sorted(ASSIGNORS))
@given(group=groups())
def test_every_partition_has_one_owner_who_subscribes(name, group):
    members, partition_counts = group
    assignment = ASSIGNORS[name](members, partition_counts)
    assert assignment.keys() == {m.member_id for m in members}
    by_id = {m.member_id: m for m in members}
    given_out: list[tuple[bytes, int]] = []
    for member_id, topics in assignment.items():
        for topic, partitions in topics.items():
            assert partitions, "a topic of which a member gets nothing is left out"
            assert topic in by_id[member_id].topics
            given_out += [(topic, p) for p in partitions]
    subscribed = {t for m in members for t in m.topics if t in partition_counts}
    assert sorted(given_out) == sorted((t, p) for t in subscribed for p in range(partition_counts[t]))


@pytest.mark.parametrize("name", sorted(ASSIGNORS))
@given(group=groups(), data=st.data())
def test_the_order_of_members_does_not_matter(name, group, data):
    members, partition_counts = group
    shuffled = data.draw(st.permutations(members))
    assert ASSIGNORS[name](shuffled, partition_counts) == ASSIGNORS[name](members, partition_counts)


@pytest.mark.parametrize("name", sorted(ASSIGNORS))
@given(group=groups())
def test_an_assignment_of_its_own_is_kept(name, group):
    members, partition_counts = group
    assignment = ASSIGNORS[name](members, partition_counts)
    assert ASSIGNORS[name](next_members(members, assignment), partition_counts) == assignment


def squares(assignment: Assignment) -> int:
    return sum(load * load for load in loads(assignment).values())


def evenest(members: list[SubscribedMember], partition_counts: Mapping[bytes, int]) -> int:
    """The least sum of squared loads there is, by trying out everything; for small groups."""
    states = {tuple(0 for _ in members)}
    for topic, size in partition_counts.items():
        able = [i for i, m in enumerate(members) if topic in m.topics]
        for _ in range(size if able else 0):
            states = {tuple(load + (i == taker) for i, load in enumerate(state)) for state in states for taker in able}
    return min(sum(load * load for load in state) for state in states)


@given(
    subscriptions=st.lists(st.frozensets(st.sampled_from(TOPICS[:3]), min_size=1), min_size=1, max_size=4),
    sizes=st.lists(st.integers(0, 4), min_size=3, max_size=3),
    owners=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_uniform_is_as_even_as_subscriptions_allow(subscriptions, sizes, owners):
    partition_counts = counts(*sizes)
    owned: list[dict[bytes, set[int]]] = [{} for _ in subscriptions]
    places = [(t, p) for t, size in partition_counts.items() for p in range(size)]
    for (topic, partition), owner in zip(places, owners, strict=False):
        if owner < len(owned):
            owned[owner].setdefault(topic, set()).add(partition)
    members = [
        SubscribedMember(member_id=f"m{i}", topics=topics, assigned={t: frozenset(ps) for t, ps in owned[i].items()})
        for i, topics in enumerate(subscriptions)
    ]
    assert squares(ASSIGNORS["uniform"](members, partition_counts)) == evenest(members, partition_counts)


@given(size=st.integers(1, 40), count=st.integers(1, 12))
def test_uniform_moves_no_more_than_a_new_member_gets(size, count):
    partition_counts = counts(size, size)
    members = [member(f"m{i:02}", "01") for i in range(count)]
    before = ASSIGNORS["uniform"](members, partition_counts)
    grown = [*next_members(members, before), member("new", "01")]
    after = ASSIGNORS["uniform"](grown, partition_counts)
    assert moved(before, after) == loads(after)["new"]
    left = next_members(grown, after)[1:]
    without = ASSIGNORS["uniform"](left, partition_counts)
    assert moved({m: a for m, a in after.items() if m != "m00"}, without) == 0


def test_uniform_evens_out_over_a_member_between():
    partition_counts = counts(2, 1)
    members = [
        member("a", "0", {TOPICS[0]: frozenset({0, 1})}),
        member("b", "01", {TOPICS[1]: frozenset({0})}),
        member("c", "1"),
    ]
    assert loads(ASSIGNORS["uniform"](members, partition_counts)) == {"a": 1, "b": 1, "c": 1}


def test_range_gives_the_same_ranges_of_copartitioned_topics():
    members = [member("b", "01"), member("a", "01"), member("c", "01")]
    assignment = ASSIGNORS["range"](members, counts(7, 7))
    assert {m: [sorted(topics[t]) for t in TOPICS[:2]] for m, topics in assignment.items()} == {
        "a": [[0, 1, 2], [0, 1, 2]],
        "b": [[3, 4], [3, 4]],
        "c": [[5, 6], [5, 6]],
    }


def test_range_moves_nothing_when_a_static_member_comes_back():
    before = ASSIGNORS["range"]([member("x", "0", instance="one"), member("m", "0", instance="two")], counts(4))
    after = ASSIGNORS["range"]([member("a", "0", instance="two"), member("x", "0", instance="one")], counts(4))
    assert before["x"] == after["x"]
    assert before["m"] == after["a"]


def test_range_with_more_members_than_partitions_leaves_the_last_ones_without():
    assignment = ASSIGNORS["range"]([member(m, "0") for m in "abc"], counts(2))
    assert assignment == {"a": {TOPICS[0]: frozenset({0})}, "b": {TOPICS[0]: frozenset({1})}, "c": {}}


@pytest.mark.parametrize("name", sorted(ASSIGNORS))
def test_topics_that_do_not_exist_are_left_out(name):
    assert ASSIGNORS[name]([member("a", "04")], counts(1)) == {"a": {TOPICS[0]: frozenset({0})}}
