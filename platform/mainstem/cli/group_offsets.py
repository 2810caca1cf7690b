"""Where a group is, and where it is to be: the arithmetic behind `consumer-groups`."""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mainstem.cli.group_tables import PartitionLag
from mainstem.client.admin import Admin
from mainstem.client.group_descriptions import GroupInfo, MemberInfo
from mainstem.client.groups import Committed
from mainstem.client.offsets import LATEST, list_offsets
from mainstem.model.errors import ErrorCode, MainstemError
from mainstem.model.ids import TopicPartition

SCENARIOS = (
    "--to-earliest",
    "--to-latest",
    "--to-current",
    "--to-offset",
    "--shift-by",
    "--to-datetime",
    "--by-duration",
    "--from-file",
)


class ResetError(MainstemError):
    """A reset that cannot be planned. `is_of_usage`: the command line is to blame, not the cluster."""

    def __init__(self, message: str, *, is_of_usage: bool = False) -> None:
        super().__init__(message)
        self.is_of_usage = is_of_usage


def group_lags(admin: Admin, group: GroupInfo, committed: Mapping[TopicPartition, Committed]) -> Iterator[PartitionLag]:
    """What each member reads, the busiest member first; then what nobody reads any more."""
    owned = [partition for member in group.members for partition in member.assignment]
    found = list_offsets(admin.cluster, sorted({*owned, *committed}), LATEST)
    ends = {partition: each.offset for partition, each in found.items() if each.error is ErrorCode.NONE}
    for member in sorted(group.members, key=lambda member: -len(member.assignment)):
        for partition in member.assignment:
            yield _lag(group.group, partition, committed, ends, member)
    for partition in sorted(set(committed) - set(owned)):
        yield _lag(group.group, partition, committed, ends, None)


def _lag(
    group: str,
    partition: TopicPartition,
    committed: Mapping[TopicPartition, Committed],
    ends: Mapping[TopicPartition, int],
    member: MemberInfo | None,
) -> PartitionLag:
    at, end = committed.get(partition), ends.get(partition)
    return PartitionLag(
        group=group,
        topic=partition.topic,
        partition=partition.partition,
        leader_epoch=at.leader_epoch if at is not None else None,
        current_offset=at.offset if at is not None else None,
        log_end_offset=end,
        lag=end - at.offset if end is not None and at is not None else None,
        consumer_id=member.member_id if member is not None else None,
        host=member.host if member is not None else None,
        client_id=member.client_id if member is not None else None,
    )


def wanted_partitions(admin: Admin, topics: Sequence[str]) -> list[TopicPartition]:
    """`orders` is all of a topic, `orders:0,2` some of it. Raises: ResetError, RefusedError for an unknown topic."""
    chosen: list[TopicPartition] = []
    for text in topics:
        topic, colon, numbers = text.partition(":")
        if colon:
            chosen += [TopicPartition(topic, _partition(number, text)) for number in numbers.split(",")]
        else:
            (described,) = admin.describe_topics([topic])
            chosen += [TopicPartition(topic, each.partition) for each in described.partitions]
    return sorted(set(chosen))


class OffsetReset:
    """Plans one group's new offsets. `warn` is told where a wish had to be corrected."""

    def __init__(
        self, admin: Admin, group: str, committed: Mapping[TopicPartition, int], warn: Callable[[str], None]
    ) -> None:
        self._admin = admin
        self._group = group
        self._committed = committed
        self._warn = warn

    def plan(self, options: argparse.Namespace) -> dict[TopicPartition, int]:
        """Raises: ResetError, RefusedError."""
        if options.from_file is not None:
            return self._within_log(read_plan(Path(options.from_file), self._group))
        partitions = self._scope(options)
        if options.to_offset is not None:
            return self._within_log(dict.fromkeys(partitions, options.to_offset))
        if options.shift_by is not None:
            return self._within_log({each: self._current(each) + options.shift_by for each in partitions})
        if options.to_earliest:
            return self._known(partitions, self._admin.start_offsets(partitions))
        if options.to_latest:
            return self._known(partitions, self._admin.end_offsets(partitions))
        if options.to_current:
            ends = self._admin.end_offsets([each for each in partitions if each not in self._committed])
            return self._known(partitions, {**ends, **self._committed})
        if options.to_datetime is not None:
            return self._from_time(partitions, parse_datetime(options.to_datetime))
        return self._from_time(partitions, datetime.now(UTC) - parse_duration(options.by_duration))

    def _scope(self, options: argparse.Namespace) -> list[TopicPartition]:
        """What `--topic` names, or with `--all-topics` what has offsets."""
        return sorted(self._committed) if options.all_topics else wanted_partitions(self._admin, options.topic)

    def _current(self, partition: TopicPartition) -> int:
        if partition not in self._committed:
            raise ResetError(
                f"Cannot shift offset for partition {partition} since there is no current committed offset",
                is_of_usage=True,
            )
        return self._committed[partition]

    def _known(
        self, partitions: Sequence[TopicPartition], offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        for partition in partitions:
            if partition not in offsets:
                raise ResetError(f"Error getting offset of topic partition: {partition}")
        return {partition: offsets[partition] for partition in partitions}

    def _from_time(self, partitions: Sequence[TopicPartition], when: datetime) -> dict[TopicPartition, int]:
        offsets = self._known(partitions, self._admin.offsets_at(partitions, round(when.timestamp() * 1000)))
        late = [partition for partition, offset in offsets.items() if offset < 0]
        for partition in late:
            # Kafka's words, also where the partition has records and all of them are older.
            print(
                f"\nWarn: Partition {partition.partition} from topic {partition.topic} is empty."
                " Falling back to latest known offset."
            )
        return offsets | self._known(late, self._admin.end_offsets(late))

    def _within_log(self, wanted: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Offsets outside the log become its nearest end."""
        partitions = sorted(wanted)
        starts = self._known(partitions, self._admin.start_offsets(partitions))
        ends = self._known(partitions, self._admin.end_offsets(partitions))
        planned = {}
        for partition in partitions:
            planned[partition] = min(max(wanted[partition], starts[partition]), ends[partition])
            if planned[partition] != wanted[partition]:
                is_high = planned[partition] < wanted[partition]
                self._warn(
                    f"New offset ({wanted[partition]}) is {'higher than latest' if is_high else 'lower than earliest'}"
                    f" offset for topic partition {partition}. Value will be set to {planned[partition]}"
                )
        return planned


def _partition(number: str, text: str) -> int:
    if not (number.isascii() and number.isdecimal()):
        raise ResetError(f"Invalid partition '{number}' specified in topic arg '{text}''", is_of_usage=True)
    return int(number)


def read_plan(path: Path, group: str) -> dict[TopicPartition, int]:
    """A CSV of `topic,partition,offset` or `group,topic,partition,offset`.

    Raises: ResetError, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ResetError(f"{path}: {error.strerror}") from None
    plan = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            (cells,) = csv.reader([line])
            of_group, topic, partition, offset = cells if len(cells) == 4 else (group, *cells)
            where, to = TopicPartition(topic, int(partition)), int(offset)
        except ValueError:
            raise ResetError(f"{path}, line {number}: {line!r} is not topic,partition,offset") from None
        if of_group == group:
            plan[where] = to
    return plan


def parse_datetime(text: str) -> datetime:
    """`2026-01-31T12:00:00.000`, in UTC unless it says otherwise. Raises: ResetError."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ResetError(f"{text!r} is not a time; the form is YYYY-MM-DDTHH:mm:SS.sss") from None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def parse_duration(text: str) -> timedelta:
    """ISO 8601, days and smaller: `P7D`, `PT1H30M`. Raises: ResetError."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ResetError(f"{text!r} is not a duration; the form is PnDTnHnMnS")
    return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number is not None})
