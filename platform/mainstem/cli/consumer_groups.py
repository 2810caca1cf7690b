"""`mainstem consumer-groups`: the flags and the output of Kafka's `kafka-consumer-groups.sh`.

As Kafka's, it ends with status 0 after a request that was understood and refused, and says so on standard output;
with `--json`, which Kafka's does not have, the status is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mainstem.cli.arguments import Parser, given
from mainstem.cli.cluster_commands import connected
from mainstem.cli.group_offsets import SCENARIOS

ACTIONS = ("--list", "--describe", "--delete", "--reset-offsets", "--delete-offsets", "--validate-regex")
TIMEOUT_MS = 30000
EXAMPLES = (
    "mainstem consumer-groups --bootstrap-server localhost:9092 --list --state",
    "mainstem consumer-groups --bootstrap-server localhost:9092 --describe --group billing",
    "mainstem consumer-groups --bootstrap-server localhost:9092 --describe --all-groups --members --verbose",
    "mainstem consumer-groups --bootstrap-server localhost:9092 --reset-offsets --group billing --topic orders"
    " --to-earliest --execute",
    "mainstem consumer-groups --bootstrap-server localhost:9092 --delete --group billing",
)


def main(arguments: Sequence[str]) -> int:
    parser = groups_parser()
    options = parser.read(arguments)
    action = parser.exactly_one(options, ACTIONS)
    check(parser, options, action)
    if action == "--validate-regex":
        return validate_regex(options.validate_regex)
    with connected(options, options.timeout / 1000) as admin:
        # Imported late, so that a wrong command line is answered at once.
        from mainstem.cli.group_command import GroupCommand

        return GroupCommand(parser, admin, options).run(action)


def validate_regex(text: str) -> int:
    """By the engine that brokers ask (RE2)."""
    # Imported late: the other actions do without it, and it takes a while.
    from mainstem.core.regular_expression import regex_problem

    problem = regex_problem(text)
    outcome = "valid" if problem is None else f"invalid: {problem}"
    print(f"The regular expression `{text}` is {outcome}.")
    return 0


def groups_parser() -> Parser:
    parser = Parser("consumer-groups", "List and describe consumer groups, reset their offsets, delete them.", EXAMPLES)
    parser.connection()
    parser.flag("--list", "print the names of all groups")
    parser.flag("--describe", "print committed offsets and lag, or what another flag asks for")
    parser.flag("--delete", "delete groups without members, with their offsets")
    parser.flag("--reset-offsets", "move the committed offsets of a group without members")
    parser.values("--group", "GROUP", "a group; may be repeated")
    parser.flag("--all-groups", "every group")
    parser.flag("--delete-offsets", "forget the committed offsets of topics that no member reads")
    parser.value("--validate-regex", "REGEX", "tell whether a regular expression for topics is valid; asks no broker")
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
    parser.suggested["state"] = (
        "stable",
        "empty",
        "dead",
        "preparingrebalance",
        "completingrebalance",
        "assigning",
        "reconciling",
    )
    parser.suggested["type"] = ("classic", "consumer")
    parser.flag("--verbose", "describe more: partitions of members, epochs of offsets and states")
    parser.values(
        "--topic", "TOPIC[:0,1]", "topics to reset or to forget, or some of their partitions; may be repeated"
    )
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
    parser.flag("--json", "print the result as JSON")
    return parser


def check(parser: Parser, options: argparse.Namespace, action: str) -> None:
    """What Kafka's tool refuses. Raises: UsageError."""
    if action in ("--describe", "--delete", "--reset-offsets") and not options.group and not options.all_groups:
        parser.error(f'Option "{action}" takes one of these options: --all-groups, --group')
    parser.forbid(options, "--group", ("--all-groups",))
    if action == "--delete" and options.topic:
        parser.error("The consumer does not support topic-specific offset deletion from a consumer group.")
    reset, describe = ("--reset-offsets",), ("--describe",)
    allowed = {
        "--members": describe,
        "--offsets": describe,
        "--verbose": describe,
        "--state": ("--describe", "--list"),
        "--type": ("--list",),
        "--json": ("--describe", "--list", "--reset-offsets", "--delete", "--delete-offsets"),
        "--topic": ("--reset-offsets", "--delete-offsets"),
        "--all-topics": reset,
        "--dry-run": reset,
        "--execute": reset,
        "--export": reset,
        "--group": ("--describe", "--delete", "--reset-offsets", "--delete-offsets"),
    }
    parser.only(options, action, allowed | dict.fromkeys(SCENARIOS, reset))
    if action == "--describe":
        chosen = [name for name in ("--members", "--offsets", "--state") if given(options, name)]
        if len(chosen) > 1:
            parser.error('Option "--describe" takes at most one of these options: --members, --offsets, --state')
        if options.state:
            parser.error('Option "--describe" does not take a value for "--state"')
    if action == "--delete-offsets" and (len(options.group) != 1 or not options.topic):
        parser.error('Option "--delete-offsets" takes one --group and at least one --topic')
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
