"""The tables of `consumer-groups`, column for column as Kafka 4.1 prints them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import msgspec

from mainstem.cli.output import row, width_of
from mainstem.client.group_descriptions import GroupInfo, MemberInfo
from mainstem.client.groups import GroupListing
from mainstem.client.kafka_errors import description, exception_class
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

NOTHING = "-"
COLUMN = 15


class PartitionLag(msgspec.Struct, frozen=True, kw_only=True):
    """How far a group is on one partition. None is printed as a dash."""

    group: str
    topic: str | None
    partition: int | None
    leader_epoch: int | None
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


def offsets_table(lags: Sequence[PartitionLag], *, with_epochs: bool = False) -> str:
    columns = {
        "GROUP": ("group", COLUMN),
        "TOPIC": ("topic", COLUMN),
        "PARTITION": ("partition", 10),
        "LEADER-EPOCH": ("leader_epoch", COLUMN),
        "CURRENT-OFFSET": ("current_offset", COLUMN),
        "LOG-END-OFFSET": ("log_end_offset", COLUMN),
        "LAG": ("lag", COLUMN),
        "CONSUMER-ID": ("consumer_id", COLUMN),
        "HOST": ("host", COLUMN),
        "CLIENT-ID": ("client_id", 0),
    }
    if not with_epochs:
        del columns["LEADER-EPOCH"]
    cells = [[_text(getattr(lag, name)) for name, _ in columns.values()] for lag in lags]
    # Kafka lets these four columns grow with what is in them, and no other.
    widths = [
        width_of([line[number] for line in cells], least)
        if title in ("GROUP", "TOPIC", "CONSUMER-ID", "HOST")
        else least
        for number, (title, (_, least)) in enumerate(columns.items())
    ]
    return "\n".join(["", *(row(line, widths) for line in [list(columns), *cells])])


def members_table(group: GroupInfo, *, with_assignment: bool) -> str:
    members = group.members
    has_instances = any(member.group_instance_id for member in members)
    # A group on its way from one protocol to the other: of each member it is told which one it speaks.
    is_mixed = {True, False} <= {member.is_upgraded for member in members}
    titles = ["GROUP", "CONSUMER-ID"]
    titles += ["GROUP-INSTANCE-ID"] if has_instances else []
    titles += ["HOST", "CLIENT-ID", "#PARTITIONS"]
    titles += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"] if with_assignment else []
    titles += ["UPGRADED"] if with_assignment and is_mixed else []
    cells = [_member_cells(group, member, has_instances, with_assignment)[: len(titles)] for member in members]
    least = {"GROUP-INSTANCE-ID": 17, "CURRENT-ASSIGNMENT": 20, "TARGET-ASSIGNMENT": 20, "UPGRADED": 0}
    widths = [
        width_of([line[number] for line in cells], least.get(title, COLUMN)) for number, title in enumerate(titles)
    ]
    # Kafka's short table has a blank after its last column, the long one has none.
    end = "" if with_assignment else " "
    return "\n".join(["", *(row(line, widths) + end for line in [titles, *cells])])


def _member_cells(group: GroupInfo, member: MemberInfo, has_instances: bool, with_assignment: bool) -> list[str]:
    cells = [group.group, member.member_id]
    cells += [member.group_instance_id] if has_instances else []
    cells += [member.host, member.client_id, str(len(member.assignment))]
    if with_assignment:
        cells += [
            _text(member.member_epoch),
            assignment_text(member.assignment),
            _text(group.target_assignment_epoch),
            assignment_text(member.target_assignment),
            "true" if member.is_upgraded else "false",
        ]
    return cells


def _text(value: object) -> str:
    return NOTHING if value is None else str(value)


def assignment_text(assignment: Sequence[TopicPartition]) -> str:
    """`orders:0,1;returns:2`."""
    by_topic: dict[str, list[int]] = {}
    for partition in assignment:
        by_topic.setdefault(partition.topic, []).append(partition.partition)
    topics = [f"{topic}:{','.join(map(str, sorted(numbers)))}" for topic, numbers in sorted(by_topic.items())]
    return ";".join(topics) or NOTHING


def states_table(group: GroupInfo, *, with_epochs: bool = False) -> str:
    coordinator = f"{group.coordinator}  ({group.coordinator_id})"
    header = ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"]
    cells = [group.group, coordinator, group.assignor or NOTHING, group.state]
    widths = [max(COLUMN, len(group.group)), max(25, len(coordinator)), 20, 20]
    if with_epochs:
        header += ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]
        cells += [_text(group.group_epoch), _text(group.target_assignment_epoch)]
        widths += [COLUMN, 25]
    return "\n".join(["", row([*header, "#MEMBERS"], [*widths, 0]), row([*cells, len(group.members)], [*widths, 0])])


def deleted_offsets_table(results: Mapping[TopicPartition, ErrorCode]) -> str:
    """Partition -1 is that of a topic that does not exist."""
    widths = (width_of([each.topic for each in results], COLUMN), 10, 15)
    lines = [row(("TOPIC", "PARTITION", "STATUS"), widths)]
    for each, code in sorted(results.items(), key=lambda item: f"{item[0].topic}{item[0].partition}"):
        number = str(each.partition) if each.partition >= 0 else NOTHING
        status = "Successful" if code is ErrorCode.NONE else f"Error: {exception_class(code)}: {description(code)}"
        lines.append(row((each.topic, number, status), widths))
    return "\n".join(["", *lines])


def reset_table(plans: Mapping[str, Mapping[TopicPartition, int]]) -> str:
    widths = (30, 30, 10, 15)
    lines = [row(("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"), widths)] if plans else []
    for group, plan in plans.items():
        lines += [row((group, each.topic, each.partition, offset), widths) for each, offset in sorted(plan.items())]
    return "\n".join(["", *lines])


def reset_csv(plans: Mapping[str, Mapping[TopicPartition, int]], *, with_group: bool) -> str:
    """`topic,partition,offset` lines, with the group in front if there are several. Kafka's form."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for group, plan in plans.items():
        for each, offset in sorted(plan.items()):
            cells = (each.topic, each.partition, offset)
            writer.writerow((group, *cells) if with_group else cells)
    return text.getvalue()
