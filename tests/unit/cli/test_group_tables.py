"""The tables as Apache Kafka 4.1's kafka-consumer-groups printed them for the same groups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from mainstem.cli.group_offsets import ResetError, parse_datetime, parse_duration, read_plan
from mainstem.cli.group_tables import (
    PartitionLag,
    assignment_text,
    deleted_offsets_table,
    groups_table,
    members_table,
    offsets_table,
    reset_csv,
    reset_table,
    states_table,
)
from mainstem.client.group_descriptions import GroupInfo, MemberInfo
from mainstem.client.groups import GroupListing
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

MEMBER = "cc-32e91a87-e3a7-4449-88b1-c2486e9e6b0e"
LIVE = GroupInfo(
    group="live",
    type="Classic",
    state="Stable",
    assignor="range",
    coordinator="127.0.0.1:19092",
    coordinator_id=1,
    members=(
        MemberInfo(
            member_id=MEMBER,
            group_instance_id="",
            client_id="cc",
            host="/127.0.0.1",
            assignment=(TopicPartition("t", 0), TopicPartition("t", 1)),
        ),
    ),
)


def lag(partition: int, offset: int | None, member: MemberInfo | None) -> PartitionLag:
    return PartitionLag(
        group="live" if member else "g1",
        topic="t",
        partition=partition,
        leader_epoch=None,
        current_offset=offset,
        log_end_offset=2,
        lag=None if offset is None else 2 - offset,
        consumer_id=member.member_id if member else None,
        host=member.host if member else None,
        client_id=member.client_id if member else None,
    )


def test_groups() -> None:
    listings = [GroupListing(group="g1", type="Classic", state="Empty", protocol="consumer")]
    assert groups_table(listings, with_type=False, with_state=True) == (
        "GROUP                     STATE               \ng1                        Empty               "
    )
    listings.append(GroupListing(group="console-consumer-2799", type="Classic", state="Empty", protocol="consumer"))
    assert groups_table(listings, with_type=True, with_state=False) == (
        "GROUP                           TYPE                \n"
        "g1                              Classic             \n"
        "console-consumer-2799           Classic             "
    )


def test_offsets_of_a_group_without_members() -> None:
    assert offsets_table([lag(1, 2, None), lag(0, 1, None)]) == (
        "\nGROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST"
        "            CLIENT-ID\n"
        "g1              t               1          2               2               0               -               -"
        "               -\n"
        "g1              t               0          1               2               1               -               -"
        "               -"
    )


def test_offsets_of_a_member_that_has_committed_nothing() -> None:
    assert offsets_table([lag(1, None, LIVE.members[0])]) == (
        "\nGROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             "
        "CONSUMER-ID                             HOST            CLIENT-ID\n"
        "live            t               1          -               2               -               "
        "cc-32e91a87-e3a7-4449-88b1-c2486e9e6b0e /127.0.0.1      cc"
    )


def test_members() -> None:
    assert members_table(LIVE, with_assignment=False) == (
        "\nGROUP           CONSUMER-ID                             HOST            CLIENT-ID       #PARTITIONS     \n"
        "live            cc-32e91a87-e3a7-4449-88b1-c2486e9e6b0e /127.0.0.1      cc              2               "
    )


def test_members_with_their_partitions() -> None:
    assert members_table(LIVE, with_assignment=True) == (
        "\nGROUP           CONSUMER-ID                             HOST            CLIENT-ID       #PARTITIONS     "
        "CURRENT-EPOCH   CURRENT-ASSIGNMENT   TARGET-EPOCH    TARGET-ASSIGNMENT   \n"
        "live            cc-32e91a87-e3a7-4449-88b1-c2486e9e6b0e /127.0.0.1      cc              2               "
        "-               t:0,1                -               -                   "
    )


def test_static_members_have_a_column_of_their_own() -> None:
    static = MemberInfo(member_id="m", group_instance_id="inst", client_id="c", host="/h", assignment=())
    group = GroupInfo(
        group="g",
        type="Classic",
        state="Stable",
        assignor="range",
        coordinator="h:1",
        coordinator_id=1,
        members=(static,),
    )
    assert members_table(group, with_assignment=False) == (
        "\nGROUP           CONSUMER-ID     GROUP-INSTANCE-ID HOST            CLIENT-ID       #PARTITIONS     \n"
        "g               m               inst              /h              c               0               "
    )


def test_states() -> None:
    assert states_table(LIVE) == (
        "\nGROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                #MEMBERS\n"
        "live            127.0.0.1:19092  (1)      range                Stable               1"
    )


MODERN = GroupInfo(
    group="g",
    type="Consumer",
    state="Stable",
    assignor="uniform",
    coordinator="127.0.0.1:19092",
    coordinator_id=1,
    group_epoch=3,
    target_assignment_epoch=2,
    members=(
        MemberInfo(
            member_id="m",
            group_instance_id="",
            client_id="c",
            host="/h",
            assignment=(),
            member_epoch=1,
            target_assignment=(TopicPartition("t", 0),),
            is_upgraded=True,
        ),
    ),
)


def test_members_of_the_consumer_protocol_have_epochs_and_targets() -> None:
    assert members_table(MODERN, with_assignment=True).splitlines()[2] == (
        "g               m               /h              c               0               "
        "1               -                    2               t:0                 "
    )


def test_a_group_with_members_of_both_protocols_says_which_are_upgraded() -> None:
    old = msgspec.structs.replace(MODERN.members[0], member_id="old", is_upgraded=False)
    mixed = msgspec.structs.replace(MODERN, members=(*MODERN.members, old))
    header, *rows = members_table(mixed, with_assignment=True).splitlines()[1:]
    assert header.endswith("TARGET-EPOCH    TARGET-ASSIGNMENT    UPGRADED")
    assert [row.split()[-1] for row in rows] == ["true", "false"]
    assert "UPGRADED" not in members_table(mixed, with_assignment=False)


def test_verbose_states_and_offsets_show_epochs() -> None:
    assert states_table(MODERN, with_epochs=True) == (
        "\nGROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                GROUP-EPOCH     "
        "TARGET-ASSIGNMENT-EPOCH   #MEMBERS\n"
        "g               127.0.0.1:19092  (1)      uniform              Stable               3               "
        "2                         1"
    )
    assert offsets_table([lag(0, 1, None)], with_epochs=True) == (
        "\nGROUP           TOPIC           PARTITION  LEADER-EPOCH    CURRENT-OFFSET  LOG-END-OFFSET  LAG             "
        "CONSUMER-ID     HOST            CLIENT-ID\n"
        "g1              t               0          -               1               2               1               "
        "-               -               -"
    )


def test_deleted_offsets() -> None:
    results = {
        TopicPartition("t", 1): ErrorCode.NONE,
        TopicPartition("nosuch", -1): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
    assert deleted_offsets_table(results) == (
        "\nTOPIC           PARTITION  STATUS         \n"
        "nosuch          -          Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException:"
        " This server does not host this topic-partition.\n"
        "t               1          Successful     "
    )


def test_resets() -> None:
    plan = {"g1": {TopicPartition("t", 1): 1, TopicPartition("t", 0): 0}}
    assert reset_table(plan) == (
        "\nGROUP                          TOPIC                          PARTITION  NEW-OFFSET     \n"
        "g1                             t                              0          0              \n"
        "g1                             t                              1          1              "
    )
    assert reset_csv(plan, with_group=False) == "t,0,0\nt,1,1\n"
    assert reset_csv(plan | {"g2": {TopicPartition("u", 0): 3}}, with_group=True) == "g1,t,0,0\ng1,t,1,1\ng2,u,0,3\n"


@pytest.mark.parametrize(
    ("partitions", "text"),
    [
        ([], "-"),
        ([("t", 1), ("t", 0)], "t:0,1"),
        ([("u", 10), ("u", 9), ("t", 2)], "t:2;u:9,10"),
    ],
)
def test_assignments_are_grouped_by_topic(partitions: list[tuple[str, int]], text: str) -> None:
    assert assignment_text([TopicPartition(*each) for each in partitions]) == text


def test_an_exported_plan_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    plans = {"g": {TopicPartition("t", 0): 5}, "h": {TopicPartition("u", 1): 6}}
    path.write_text(reset_csv(plans, with_group=True))
    assert {group: read_plan(path, group) for group in plans} == plans
    path.write_text("t,0,5\n\n")
    assert read_plan(path, "g") == plans["g"]


@pytest.mark.parametrize("line", ["t,0", "t,zero,5", "t,0,", "a,b,c,d,e", '"'])
def test_a_plan_that_cannot_be_read_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "plan.csv"
    path.write_text(f"t,0,5\n{line}\n")
    with pytest.raises(ResetError, match="line 2"):
        read_plan(path, "g")


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResetError, match="No such file"):
        read_plan(tmp_path / "absent", "g")


def test_times_are_utc_unless_they_say_otherwise() -> None:
    assert parse_datetime("2026-01-31T12:00:00.500") == datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
    assert parse_datetime("2026-01-31T12:00:00+02:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    with pytest.raises(ResetError):
        parse_datetime("yesterday")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P1D", timedelta(days=1)),
        ("PT1H30M", timedelta(hours=1, minutes=30)),
        ("P2DT3S", timedelta(days=2, seconds=3)),
        ("PT0.5S", timedelta(milliseconds=500)),
    ],
)
def test_durations_are_iso_8601(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "P", "PT", "1D", "P1Y", "P-1D", "PT1D"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ResetError, match="the form is PnDTnHnMnS"):
        parse_duration(text)
