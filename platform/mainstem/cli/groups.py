"""`mainstem groups`: the flags and the output of Kafka's `kafka-groups.sh` (KIP-1043)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mainstem.cli.arguments import CommandError, Parser, given
from mainstem.cli.cluster_commands import connected
from mainstem.cli.output import print_json, row, width_of
from mainstem.client.groups import CONSUMER_PROTOCOLS, TYPES, GroupListing

COLUMN = 20
KINDS = ("--consumer", "--share", "--streams")
EXAMPLES = (
    "mainstem groups --bootstrap-server localhost:9092 --list",
    "mainstem groups --bootstrap-server localhost:9092 --list --consumer",
    "mainstem groups --bootstrap-server localhost:9092 --list --group-type classic --protocol connect",
)


def main(arguments: Sequence[str]) -> int:
    parser = groups_parser()
    options = parser.read(arguments)
    check(parser, options)
    with connected(options) as admin:
        found = [listing for listing in admin.groups().listings() if is_wanted(listing, options)]
    if options.json:
        print_json(found)
    else:
        print(table(found))
    return 0


def groups_parser() -> Parser:
    parser = Parser("groups", "List groups of all kinds.", EXAMPLES)
    parser.connection()
    parser.flag("--list", "list the groups")
    parser.flag("--consumer", "only groups that consumers make, of the classic protocol or the new one")
    parser.flag("--share", "only share groups")
    parser.flag("--streams", "only streams groups")
    parser.choice("--group-type", "TYPE", "only groups of this type", tuple(TYPES), is_checked=False)
    parser.value("--protocol", "PROTOCOL", "only groups of this protocol type: consumer, connect and so on")
    parser.flag("--json", "print the groups as JSON")
    return parser


def check(parser: Parser, options: argparse.Namespace) -> None:
    """What Kafka's tool refuses. Raises: UsageError."""
    if not options.list:
        parser.error("Command must include exactly one action: --list.")
    for kind in KINDS:
        parser.forbid(options, kind, (*KINDS, "--group-type", "--protocol"))
    if given(options, "--group-type") and options.group_type.lower() not in TYPES:
        raise CommandError(f"--group-type must be a valid group type, which are {', '.join(TYPES)}.")


def is_wanted(listing: GroupListing, options: argparse.Namespace) -> bool:
    kind = listing.type.lower()
    if options.consumer:
        return kind == "consumer" or (kind == "classic" and listing.protocol in CONSUMER_PROTOCOLS)
    wanted = "share" if options.share else "streams" if options.streams else options.group_type
    return (not wanted or kind == wanted.lower()) and options.protocol in (None, listing.protocol)


def table(listings: Sequence[GroupListing]) -> str:
    """Kafka pads the lines of groups by one blank more than the header."""
    widths = (width_of([each.group for each in listings], COLUMN), COLUMN, COLUMN)
    lines = [row(("GROUP", "TYPE", "PROTOCOL"), widths)]
    lines += [row((each.group, each.type, each.protocol), widths) + " " for each in listings]
    return "\n".join(lines)
