"""`mainstem consumer-groups`: the flags and the output of Kafka's `kafka-consumer-groups.sh`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mainstem.cli.arguments import Parser, given, properties_file
from mainstem.cli.group_offsets import SCENARIOS, OffsetReset, group_lags
from mainstem.cli.group_tables import (
    PartitionLag,
    groups_table,
    members_table,
    offsets_table,
    reset_csv,
    reset_table,
    states_table,
)
from mainstem.cli.output import print_error, print_json
from mainstem.client.admin import Admin
from mainstem.client.connection import Connection
from mainstem.client.errors import RefusedError
from mainstem.client.groups import STATES, GroupInfo
from mainstem.model.errors import MainstemError
from mainstem.model.ids import TopicPartition

ACTIONS = ("--list", "--describe", "--delete", "--reset-offsets")
TIMEOUT_MS = 5000
REBALANCING = ("PreparingRebalance", "CompletingRebalance")
RESETTABLE = ("Empty", "Dead")
TYPES = ("Classic", "Consumer")
EXAMPLES = (
    "mainstem consumer-groups --bootstrap-server localhost:9092 --list --state",
    "mainstem consumer-groups --bootstrap-server localhost:9092 --describe --group billing",
    "mainstem consumer-groups --bootstrap-server localhost:9092 --describe --all-groups --members",
    "mainstem consumer-groups --bootstrap-server localhost:9092 --reset-offsets --group billing --topic orders"
    " --to-earliest --execute",
    "mainstem consumer-groups --bootstrap-server localhost:9092 --delete --group billing",
)
NO_EXECUTE_WARNING = (
    "WARN: No action will be performed as the --execute option is missing. Add --dry-run to say that this is meant."
)


class GroupCommandError(MainstemError):
    """Something that the command itself finds wrong."""


def main(arguments: Sequence[str]) -> int:
    parser = groups_parser()
    options = parser.read(arguments)
    action = parser.exactly_one(options, ACTIONS)
    check(parser, options, action)
    connection = Connection(
        bootstrap_servers=options.bootstrap_server, properties=properties_file(options.command_config)
    )
    try:
        return GroupCommand(Admin.connect(connection), options).run(action)
    except (RefusedError, GroupCommandError) as error:
        print(f"\nError: Executing consumer group command failed due to {error}")
        return 1


def groups_parser() -> Parser:
    parser = Parser("consumer-groups", "List and describe consumer groups, reset their offsets, delete them.", EXAMPLES)
    parser.connection()
    parser.flag("--list", "print the names of all groups")
    parser.flag("--describe", "print committed offsets and lag, or what another flag asks for")
    parser.flag("--delete", "delete groups without members, with their offsets")
    parser.flag("--reset-offsets", "move the committed offsets of a group without members")
    parser.values("--group", "GROUP", "a group; may be repeated")
    parser.flag("--all-groups", "every group")
    parser.flag("--members", "describe the members")
    parser.flag("--offsets", "describe the offsets, which is what happens without this")
    parser.add_argument(
        "--state",
        metavar="STATES",
        nargs="?",
        const="",
        help="describe states; with --list show them, or only groups in the given ones (stable,empty)",
    )
    parser.add_argument(
        "--type", metavar="TYPES", nargs="?", const="", help="with --list: show types, or only these (classic,consumer)"
    )
    parser.flag("--verbose", "with --members: which partitions each one has")
    parser.values("--topic", "TOPIC[:0,1]", "which topics to reset, or which of their partitions; may be repeated")
    parser.flag("--all-topics", "reset every topic the group has offsets of")
    parser.flag("--to-earliest", "reset to the oldest record")
    parser.flag("--to-latest", "reset to the end")
    parser.flag("--to-current", "reset to where the group is; the end where it is nowhere")
    parser.value("--to-offset", "OFFSET", "reset to an offset", kind=int)
    parser.value("--shift-by", "N", "reset by this many records forth, or back if negative", kind=int)
    parser.value("--to-datetime", "TIME", "reset to the first record from then on: 2026-01-31T12:00:00.000")
    parser.value("--by-duration", "DURATION", "reset to the first record of the last PnDTnHnMnS")
    parser.value("--from-file", "FILE", "reset to what a CSV of topic,partition,offset says")
    parser.flag("--dry-run", "show what a reset would do")
    parser.flag("--execute", "do it")
    parser.flag("--export", "print the result as the CSV that --from-file takes")
    parser.value("--timeout", "MS", "how long to wait for an answer", kind=int, default=TIMEOUT_MS)
    parser.flag("--json", "print --list and --describe as JSON")
    return parser


def check(parser: Parser, options: argparse.Namespace, action: str) -> None:
    """What Kafka's tool refuses. Raises: UsageError."""
    if action != "--list" and not options.group and not options.all_groups:
        parser.error(f'Option "{action}" takes one of these options: --all-groups, --group')
    parser.forbid(options, "--group", ("--all-groups",))
    only = {
        "--members": ("--describe",),
        "--offsets": ("--describe",),
        "--verbose": ("--describe",),
        "--state": ("--describe", "--list"),
        "--type": ("--list",),
        "--json": ("--describe", "--list"),
        "--topic": ("--reset-offsets",),
        "--all-topics": ("--reset-offsets",),
        "--dry-run": ("--reset-offsets",),
        "--execute": ("--reset-offsets",),
        "--export": ("--reset-offsets",),
        "--group": ("--describe", "--delete", "--reset-offsets"),
    } | dict.fromkeys(SCENARIOS, ("--reset-offsets",))
    for name, actions in only.items():
        if given(options, name) and action not in actions:
            parser.error(f'Option "{name}" can\'t be used with option "{action}"')
    if action == "--describe":
        chosen = [name for name in ("--members", "--offsets", "--state") if given(options, name)]
        if len(chosen) > 1:
            parser.error('Option "--describe" takes at most one of these options: --members, --offsets, --state')
        if options.state:
            parser.error('Option "--describe" does not take a value for "--state"')
    if action == "--reset-offsets":
        check_reset(parser, options)


def check_reset(parser: Parser, options: argparse.Namespace) -> None:
    """Raises: UsageError."""
    parser.forbid(options, "--dry-run", ("--execute",))
    scenarios = [name for name in SCENARIOS if given(options, name)]
    if len(scenarios) != 1:
        parser.error(f'Option "--reset-offsets" requires exactly one of: {", ".join(SCENARIOS)}')
    if not options.topic and not options.all_topics and options.from_file is None:
        parser.error("One of the reset scopes should be defined: --all-topics, --topic.")


class GroupCommand:
    """One run of the command."""

    def __init__(self, admin: Admin, options: argparse.Namespace) -> None:
        self._admin = admin
        self._groups = admin.groups(options.timeout / 1000)
        self._options = options

    def run(self, action: str) -> int:
        match action:
            case "--list":
                return self._list()
            case "--describe":
                return self._describe()
            case "--delete":
                return self._delete()
            case _:
                return self._reset()

    def _chosen(self) -> list[str]:
        if self._options.all_groups:
            return [listing.group for listing in self._groups.listings()]
        return sorted(set(self._options.group))

    def _list(self) -> int:
        state, kind = self._options.state, self._options.type
        states = _words("state", state or "", list(STATES.values()))
        types = _words("type", kind or "", TYPES)
        found = [
            each
            for each in self._groups.listings()
            if (not states or each.state in states) and (not types or each.type in types)
        ]
        if self._options.json:
            print_json(found)
        elif state is None and kind is None:
            for each in found:
                print(each.group)
        else:
            print(groups_table(found, with_type=kind is not None, with_state=state is not None))
        return 0

    def _describe(self) -> int:
        options = self._options
        described = self._groups.describe(self._chosen())
        alive = [group for group in described if group.state != "Dead"]
        missing = [group for group in described if group.state == "Dead"]
        if options.json:
            self._describe_json(alive)
        else:
            for group in alive:
                self._describe_one(group)
        for group in missing:
            print(f"\nError: Consumer group '{group.group}' does not exist.")
        return 1 if missing else 0

    def _describe_json(self, groups: Sequence[GroupInfo]) -> None:
        documents: list[object] = []
        for group in groups:
            if self._options.members or self._options.state is not None:
                documents.append(group)
            else:
                documents.append({"group": group.group, "state": group.state, "offsets": self._lags(group)})
        print_json(documents)

    def _describe_one(self, group: GroupInfo) -> None:
        if group.state == "Empty":
            print_error(f"\nConsumer group '{group.group}' has no active members.")
        elif group.state in REBALANCING:
            print_error(f"\nWarning: Consumer group '{group.group}' is rebalancing.")
        if self._options.members:
            print(members_table(group, with_assignment=self._options.verbose))
        elif self._options.state is not None:
            print(states_table(group))
        else:
            rows = self._lags(group)
            if rows:
                print(offsets_table(rows))

    def _lags(self, group: GroupInfo) -> list[PartitionLag]:
        return list(group_lags(self._admin, group, self._groups.committed(group.group)))

    def _delete(self) -> int:
        outcome = self._groups.delete(self._chosen())
        failed = {group: error for group, error in outcome.items() if error is not None}
        deleted = [group for group in outcome if group not in failed]
        names = ", ".join(f"'{group}'" for group in deleted)
        if not failed:
            print(f"Deletion of requested consumer groups ({names}) was successful.")
            return 0
        print("\nError: Deletion of some consumer groups failed:")
        for group, error in failed.items():
            print(f"* Group '{group}' could not be deleted due to: {error}")
        if deleted:
            print(f"\nThese consumer groups were deleted successfully: {names}")
        return 1

    def _reset(self) -> int:
        options = self._options
        if not options.dry_run and not options.execute:
            print_error(NO_EXECUTE_WARNING)
        plans: dict[str, dict[TopicPartition, int]] = {}
        status = 0
        for group in self._groups.describe(self._chosen()):
            if group.state not in RESETTABLE:
                print(
                    f"\nError: Assignments can only be reset if the group '{group.group}' is inactive,"
                    f" but the current state is {group.state}."
                )
                plans[group.group] = {}
                status = 1
                continue
            reset = OffsetReset(self._admin, group.group, self._groups.committed(group.group), print_error)
            plans[group.group] = reset.plan(options)
            if options.execute:
                self._groups.commit(group.group, plans[group.group])
        print(reset_csv(plans) if options.export else reset_table(plans))
        return status


def _words(what: str, text: str, allowed: Sequence[str]) -> set[str]:
    """Comma-separated names in any case. Raises: GroupCommandError."""
    known = {name.lower(): name for name in allowed}
    wanted = [word.strip().lower() for word in text.split(",")] if text else []
    for word in wanted:
        if word not in known:
            raise GroupCommandError(f"Invalid {what} list '{text}'. Valid {what}s are: {', '.join(allowed)}")
    return {known[word] for word in wanted}
