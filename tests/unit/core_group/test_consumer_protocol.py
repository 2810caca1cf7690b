"""The consumer protocol that classic members embed, and the hash that stands for a group's topics."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.group.consumer_protocol import (
    ConsumerProtocolError,
    read_assignment,
    read_subscription,
    write_assignment,
)
from mainstem.core.group.metadata_hash import group_hash, topic_hash

names = st.text(st.characters(codec="utf-8"), max_size=10)
shares = st.dictionaries(names, st.frozensets(st.integers(0, 2**31 - 1), max_size=4), max_size=4)


@given(shares, st.integers(0, 9))
def test_an_assignment_is_read_as_it_was_written(partitions: dict[str, frozenset[int]], version: int) -> None:
    data = write_assignment(partitions, version)
    assert read_assignment(data) == (partitions, b"")
    assert struct.unpack_from(">h", data) == (min(version, 3),)


@given(shares, st.data())
def test_a_cut_off_assignment_is_refused(partitions: dict[str, frozenset[int]], data: st.DataObject) -> None:
    whole = write_assignment(partitions, 1)
    with pytest.raises(ConsumerProtocolError):
        read_assignment(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=80))
def test_garbage_is_refused_or_read_and_costs_nothing(data: bytes) -> None:
    for read in (read_assignment, read_subscription):
        try:
            read(data)
        except ConsumerProtocolError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff" + bytes(8),
        struct.pack(">hi", 0, 2**31 - 1),
        struct.pack(">hi", 0, -5),
        struct.pack(">hihi", 0, 1, -1, -1),
        struct.pack(">hih", 0, 1, 1) + b"\xff" + struct.pack(">i", -1),
    ],
)
def test_subscriptions_that_make_no_sense_are_refused(data: bytes) -> None:
    with pytest.raises(ConsumerProtocolError):
        read_subscription(data)


def test_an_assignment_has_no_negative_version() -> None:
    with pytest.raises(ConsumerProtocolError):
        write_assignment({}, -1)


@pytest.mark.parametrize("version", range(6))
def test_every_version_of_a_subscription_is_read(version: int) -> None:
    """A later version only appends, so that fields beyond version 3 are left alone."""
    data = struct.pack(">hih", version, 1, 1) + b"a" + struct.pack(">i", -1)
    if version >= 1:
        data += struct.pack(">ih", 1, 1) + b"a" + struct.pack(">ii", 1, 7)
    if version >= 2:
        data += struct.pack(">i", 5)
    if version >= 3:
        data += struct.pack(">h", 1) + b"r"
    if version >= 4:
        data += b"more"
    found = read_subscription(data)
    assert (found.version, found.topics) == (version, ("a",))
    assert found.owned == ({"a": frozenset({7})} if version >= 1 else {})
    assert found.rack_id == ("r" if version >= 3 else None)


def test_the_hash_of_no_topics_is_zero() -> None:
    assert group_hash({}) == 0


def test_the_hash_changes_with_everything_an_assignment_depends_on() -> None:
    base = topic_hash("t", bytes(16), [["a"], []])
    others = [
        topic_hash("u", bytes(16), [["a"], []]),
        topic_hash("t", bytes(15) + b"\1", [["a"], []]),
        topic_hash("t", bytes(16), [["a"]]),
        topic_hash("t", bytes(16), [["a"], ["a"]]),
        topic_hash("t", bytes(16), [["b"], []]),
        topic_hash("t", bytes(16), [["a", "b"], []]),
    ]
    assert len({base, *others}) == 7
    assert topic_hash("t", bytes(16), [["a", "b"]]) == topic_hash("t", bytes(16), [["b", "a"]])


def test_the_order_of_topics_does_not_matter_to_a_group() -> None:
    assert group_hash({"a": 1, "b": 2}) == group_hash({"b": 2, "a": 1})
    assert group_hash({"a": 1, "b": 2}) != group_hash({"a": 2, "b": 1})
    assert -(2**63) <= group_hash({"a": 2**64 - 1}) < 2**63
