"""What needs no server: addresses, names, messages, shares."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.api.batch import Batch
from mainstem.api.spec import configure
from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_nats import NatsConfig, mainstem_register_transports
from mainstem_plugins.transport_nats.names import encoded_text, subject_of
from mainstem_plugins.transport_nats.packed import Ending, fetched, pack, unpack
from mainstem_plugins.transport_nats.shares import Member, Target, shares

[SPEC] = mainstem_register_transports()
PARTITION = TopicPartition("in", 0)
BYTES = st.none() | st.binary(max_size=5)
HEADERS = st.lists(st.tuples(st.text(max_size=3), BYTES), max_size=2)


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("", "nats://host:port"),
        ("me:secret@host", "user, password and token are settings of their own"),
        ("host/x", "needs an address"),
        ("host,", "needs an address"),
    ],
)
def test_an_address_that_is_none_is_refused(context, address, named):
    with pytest.raises(TransportError, match=named) as caught:
        SPEC.open(NatsConfig(), context, address, None)
    assert "secret" not in str(caught.value)


def test_passwords_are_not_shown():
    told = repr(configure(NatsConfig, {"password": "hunter2", "token": "hunter3"}, owner="transport nats"))
    assert "hunter" not in told


@given(st.text(max_size=8), st.text(max_size=8))
def test_texts_that_differ_have_different_keys(one, other):
    keys = encoded_text(one), encoded_text(other)
    assert (keys[0] == keys[1]) == (one == other)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=") for key in keys)


def test_a_dot_in_a_name_is_no_level_of_a_subject():
    assert subject_of("mainstem", "orders.eu", "3f", 2) == "mainstem.log.orders=eu.3f.2"


@given(
    st.lists(
        st.lists(st.tuples(BYTES, BYTES, st.integers(0, 2**40), HEADERS), min_size=1, max_size=4),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_any_part_of_messages_is_read_as_it_was_written(messages, data):
    ending, parts, rows = Ending(0, 7, 0), [], []
    for message in messages:
        keys, values, timestamps, headers = (list(column) for column in zip(*message, strict=True))
        packed = unpack(pack(Batch(keys=keys, values=values, timestamps=timestamps, headers=headers), ending))
        assert packed.newest == max(ending.newest, *timestamps)
        parts.append(packed)
        rows += message
        ending = Ending(ending.sequence + 1, packed.end, packed.newest)
    start = data.draw(st.integers(7, parts[0].end - 1))
    end = data.draw(st.integers(parts[-1].first + 1, parts[-1].end))
    got = fetched(PARTITION, parts, min(start, end), end, ending.offset)
    assert got.offsets == list(range(min(start, end), end))
    expected = rows[min(start, end) - 7 : end - 7]
    headers = got.batch.headers or [()] * len(expected)
    columns = (got.batch.keys, got.batch.values, got.batch.timestamps, [list(map(tuple, one)) for one in headers])
    assert list(zip(*columns, strict=True)) == expected


@pytest.mark.parametrize("data", [b"", b"from somebody else", b"\x90", b"\x95\x00\x00\x90\x90\xc0"])
def test_what_is_no_message_of_ours_is_refused(data):
    with pytest.raises(msgspec.DecodeError):
        unpack(data)


# Shares.

GROUPS = st.lists(st.sets(st.sampled_from(["a=1", "b=1", "c=1", "d=1"]), min_size=1), min_size=1, max_size=5)
"""What each member reads."""
COUNTS = {"a=1": 6, "b=1": 6, "c=1": 3, "d=1": 1}


def members_of(topics: list[set[str]]) -> dict[str, Member]:
    return {
        f"m{place}": Member(place, {topic: COUNTS[topic] for topic in sorted(mine)}, 0)
        for place, mine in enumerate(topics)
    }


def by_member(target: Target, topic: str) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for number, name in enumerate(target[topic]):
        found.setdefault(name, set()).add(number)
    return found


@given(GROUPS, st.data())
def test_shares_are_even_and_stay_where_they_were(topics, data):
    members = members_of(topics)
    before = shares(members, {})
    if len(members) > 1 and data.draw(st.booleans()):
        del members[data.draw(st.sampled_from(sorted(members)))]
    else:
        members["new"] = Member(99, dict(COUNTS), 0)
    after = shares(members, before)
    for topic, count in COUNTS.items():
        readers = [name for name, member in members.items() if topic in member.topics]
        assert (topic in after) == bool(readers)
        if not readers:
            continue
        owned = by_member(after, topic)
        assert owned.keys() <= set(readers)
        sizes = [len(owned.get(name, ())) for name in readers]
        assert sum(sizes) == count
        assert max(sizes) - min(sizes) <= 1
    assert shares(members, after) == after, "nothing moves while nobody comes or goes"


def test_topics_of_equal_counts_go_together():
    target = shares(members_of([{"a=1", "b=1", "c=1"}] * 3), {})
    assert target["a=1"] == target["b=1"] == ["m0", "m0", "m1", "m1", "m2", "m2"]


def test_what_members_keep_does_not_move():
    members = members_of([{"a=1"}] * 3)
    before = shares(members, {})
    del members["m1"]
    after = shares(members, before)
    for name in members:
        assert by_member(before, "a=1")[name] <= by_member(after, "a=1")[name]


def test_who_has_less_of_other_topics_gets_what_does_not_come_out_even():
    target = shares({name: Member(order, {"a=1": 1, "b=1": 3}, 0) for order, name in enumerate("pq")}, {})
    assert (target["a=1"], sorted(target["b=1"])) == (["p"], ["p", "q", "q"])
