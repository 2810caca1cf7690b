"""The tables of `consumer-groups`, column for column as Kafka 4.1 prints them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import msgspec

from mainstem.cli.output import row, width_of
from mainstem.client.groups import GroupInfo, GroupListing, MemberInfo
from mainstem.model.ids import TopicPartition

NOTHING = "-"
COLUMN = 15


class PartitionLag(msgspec.Struct, frozen=True, kw_only=True):
    """How far a group is on one partition. None is printed as a dash."""

    group: str
    topic: str | None
    partition: int | None
    current_offset: int | None
    log_end_offset: int | None
    lag: int | None
    consumer_id: str | None
    host: str | None
    client_id: str | None


def groups_table(listings: Sequence[GroupListing], *, with_type: bool, with_state: bool) -> str:
    widths = [width_of([listing.group for listing in listings], COLUMN) + 10]
    header, columns = ["GROUP"], ["group"]
    for is_wanted, title, attribute in ((with_type, "TYPE", "type"), (with_state, "STATE", "state")):
        if is_wanted:
            header.append(title)
            columns.append(attribute)
            widths.append(20)
    lines = [row(header, widths)]
    lines += [row([getattr(listing, column) for column in columns], widths) for listing in listings]
    return "\n".join(lines)


def offsets_table(lags: Sequence[PartitionLag]) -> str:
    header = (
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    )
    cells = [[NOTHING if value is None else str(value) for value in msgspec.structs.astuple(lag)] for lag in lags]
    widths = [
        width_of([line[0] for line in cells], COLUMN),
        width_of([line[1] for line in cells], COLUMN),
        10,
        COLUMN,
        COLUMN,
        COLUMN,
        width_of([line[6] for line in cells], COLUMN),
        width_of([line[7] for line in cells], COLUMN),
        0,
    ]
    return "\n".join(["", *(row(line, widths) for line in [header, *cells])])


def members_table(group: GroupInfo, *, with_assignment: bool) -> str:
    members = group.members
    has_instances = any(member.group_instance_id for member in members)
    titles = ["GROUP", "CONSUMER-ID"]
    titles += ["GROUP-INSTANCE-ID"] if has_instances else []
    titles += ["HOST", "CLIENT-ID", "#PARTITIONS"]
    titles += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"] if with_assignment else []
    cells = [_member_cells(group.group, member, has_instances, with_assignment) for member in members]
    least = {"GROUP-INSTANCE-ID": 17, "CURRENT-ASSIGNMENT": 20, "TARGET-ASSIGNMENT": 20}
    widths = [
        width_of([line[number] for line in cells], least.get(title, COLUMN)) for number, title in enumerate(titles)
    ]
    # Kafka's short table has a blank after its last column, the long one has none.
    end = "" if with_assignment else " "
    return "\n".join(["", *(row(line, widths) + end for line in [titles, *cells])])


def _member_cells(group: str, member: MemberInfo, has_instances: bool, with_assignment: bool) -> list[str]:
    cells = [group, member.member_id]
    cells += [member.group_instance_id] if has_instances else []
    cells += [member.host, member.client_id, str(len(member.assignment))]
    # Epochs and targets belong to groups of the consumer protocol; the client library does not tell them.
    cells += [NOTHING, assignment_text(member.assignment), NOTHING, NOTHING] if with_assignment else []
    return cells


def assignment_text(assignment: Sequence[TopicPartition]) -> str:
    """`orders:0,1;returns:2`."""
    by_topic: dict[str, list[int]] = {}
    for partition in assignment:
        by_topic.setdefault(partition.topic, []).append(partition.partition)
    topics = [f"{topic}:{','.join(map(str, sorted(numbers)))}" for topic, numbers in sorted(by_topic.items())]
    return ";".join(topics) or NOTHING


def states_table(group: GroupInfo) -> str:
    coordinator = f"{group.coordinator}  ({group.coordinator_id})"
    header = ("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS")
    cells = (group.group, coordinator, group.assignor or NOTHING, group.state, len(group.members))
    widths = (max(COLUMN, len(group.group)), max(25, len(coordinator)), 20, 20, 0)
    return "\n".join(["", row(header, widths), row(cells, widths)])


def reset_table(plans: Mapping[str, Mapping[TopicPartition, int]]) -> str:
    widths = (30, 30, 10, 15)
    lines = [row(("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"), widths)] if plans else []
    for group, plan in plans.items():
        lines += [row((group, each.topic, each.partition, offset), widths) for each, offset in sorted(plan.items())]
    return "\n".join(["", *lines])


def reset_csv(plans: Mapping[str, Mapping[TopicPartition, int]]) -> str:
    """`topic,partition,offset` lines for one group, with the group in front for several. Kafka's form."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for group, plan in plans.items():
        for each, offset in sorted(plan.items()):
            cells = (each.topic, each.partition, offset)
            writer.writerow(cells if len(plans) == 1 else (group, *cells))
    return text.getvalue()
