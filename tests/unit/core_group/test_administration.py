"""Describe, list and remove groups."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.core.group.commands import DescribeGroup, ListGroups, RemoveGroup
from mainstem.core.group.records import GroupRemoved, OffsetRemoved
from mainstem.model.errors import ErrorCode


def describe(bench: Any, group_id: str = "g", **changes: Any) -> Any:
    return bench.send(DescribeGroup(group_id=group_id, **changes)).result.group


def listed(bench: Any, **filters: frozenset[str]) -> list[tuple[str, str, str, str]]:
    result = bench.send(ListGroups(**filters)).result
    return [(g.group_id, g.protocol_type, g.state, g.type) for g in result.groups]


class TestDescribe:
    def test_a_stable_group_shows_protocol_metadata_and_assignments(self, bench: Any) -> None:
        bench.stable_group(protocols={"range": b"meta"})
        group = describe(bench)
        assert (group.error, group.state) == (ErrorCode.NONE, "Stable")
        assert (group.protocol_type, group.protocol) == ("consumer", "range")
        (member,) = group.members
        assert (member.member_id, member.group_instance_id) == ("member-1", None)
        assert (member.client_id, member.client_host) == ("client", "/127.0.0.1")
        assert (member.metadata, member.assignment) == (b"meta", b"member-1")

    def test_a_group_on_the_move_shows_its_members_only(self, bench: Any) -> None:
        bench.stable_group()
        bench.join()
        group = describe(bench)
        assert (group.state, group.protocol_type, group.protocol) == ("PreparingRebalance", "consumer", "")
        assert [m.metadata for m in group.members] == [b"", b""]

    def test_a_group_before_its_assignment(self, bench: Any) -> None:
        bench.join()
        bench.advance(0)
        assert describe(bench).state == "CompletingRebalance"

    def test_an_empty_group(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        bench.leave((leader.member_id, None))
        group = describe(bench)
        assert (group.state, group.protocol_type, group.members) == ("Empty", "consumer", ())

    def test_an_unknown_group_is_dead_and_from_version_6_not_found(self, bench: Any) -> None:
        old, new = describe(bench, "none"), describe(bench, "none", knows_group_id_not_found=True)
        assert (old.error, old.state, old.error_message) == (ErrorCode.NONE, "Dead", None)
        assert (new.error, new.state) == (ErrorCode.GROUP_ID_NOT_FOUND, "Dead")
        assert new.error_message == "Group none not found."


class TestList:
    @pytest.fixture
    def two(self, bench: Any) -> Any:
        bench.stable_group()
        bench.commit(1, group_id="simple")
        return bench

    def test_all(self, two: Any) -> None:
        assert listed(two) == [
            ("g", "consumer", "Stable", "classic"),
            ("simple", "", "Empty", "classic"),
        ]

    @pytest.mark.parametrize(
        ("states", "groups"),
        [
            ({"stable"}, ["g"]),
            ({"empty"}, ["simple"]),
            ({"stable", "empty"}, ["g", "simple"]),
            ({"dead"}, []),
            ({"nonsense"}, []),
        ],
    )
    def test_by_state(self, two: Any, states: set[str], groups: list[str]) -> None:
        assert [g[0] for g in listed(two, states=frozenset(states))] == groups

    @pytest.mark.parametrize(
        ("types", "groups"),
        [
            ({"classic"}, ["g", "simple"]),
            ({"consumer"}, []),
            ({"nonsense"}, []),
            ({"classic", "share"}, ["g", "simple"]),
        ],
    )
    def test_by_type(self, two: Any, types: set[str], groups: list[str]) -> None:
        assert [g[0] for g in listed(two, types=frozenset(types))] == groups


class TestRemove:
    def remove(self, bench: Any, group_id: str = "g") -> ErrorCode:
        error = bench.send(RemoveGroup(group_id=group_id)).result.error
        assert isinstance(error, ErrorCode)
        return error

    def test_an_empty_group_goes_with_its_offsets_the_group_last(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        bench.commit(1, generation=1, member_id=leader.member_id)
        bench.leave((leader.member_id, None))
        written = len(bench.log)
        assert self.remove(bench) is ErrorCode.NONE
        assert bench.log[written:] == [
            OffsetRemoved(group_id="g", topic="orders", partition=0),
            GroupRemoved(group_id="g"),
        ]
        assert bench.committed() == {}
        assert bench.restarted().shard.groups == {}

    def test_a_simple_group_can_be_removed(self, bench: Any) -> None:
        bench.commit(1)
        assert self.remove(bench) is ErrorCode.NONE
        assert bench.shard.groups == {}

    def test_a_group_with_members_is_refused_in_every_state(self, bench: Any) -> None:
        bench.join()
        assert self.remove(bench) is ErrorCode.NON_EMPTY_GROUP
        bench.advance(0)
        assert self.remove(bench) is ErrorCode.NON_EMPTY_GROUP
        bench.advance(300_000)
        bench.stable_group()
        assert self.remove(bench) is ErrorCode.NON_EMPTY_GROUP

    def test_an_unknown_group_is_not_found(self, bench: Any) -> None:
        assert self.remove(bench, "none") is ErrorCode.GROUP_ID_NOT_FOUND

    def test_a_removed_group_can_be_joined_anew(self, bench: Any) -> None:
        (leader,) = bench.stable_group()
        bench.leave((leader.member_id, None))
        self.remove(bench)
        (again,) = bench.stable_group()
        assert again.generation == 1
