"""`mainstem storage`: what of Kafka's `kafka-storage.sh` means something here. A broker also starts without it."""

from __future__ import annotations

import argparse
import base64
import binascii
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.output import print_json

ACTIONS = {
    "random-uuid": "print an id for a new cluster",
    "format": "make the log directories ready for a cluster of this id",
    "info": "print what log directories say about themselves",
}
EXAMPLES = (
    "mainstem storage random-uuid",
    "mainstem storage format --standalone -t $(mainstem storage random-uuid) -c config/server.properties",
    "mainstem storage info -c config/server.properties",
)


def main(arguments: Sequence[str]) -> int:
    parser = storage_parser()
    options = parser.read(arguments)
    if options.action == "random-uuid":
        cluster_id = new_uuid()
        if options.json:
            print_json({"cluster_id": cluster_id})
        else:
            print(cluster_id)
        return 0
    parser.require(options, "--config")
    if options.action == "info":
        return info(options)
    parser.require(options, "--cluster-id")
    if options.add_scram:
        parser.error("there are no SCRAM credentials here yet: leave --add-scram away")
    return format_all(options)


def storage_parser() -> Parser:
    parser = Parser("storage", "Make ids for clusters; format and inspect log directories.", EXAMPLES)
    parser.action(ACTIONS)
    parser.add_argument("--config", "-c", metavar="FILE", help="the broker's properties file")
    parser.add_argument("--cluster-id", "-t", metavar="ID", help="with format: the cluster's id")
    parser.add_argument("--ignore-formatted", "-g", action="store_true", help="leave formatted directories as they are")
    parser.flag("--json", "print the result as JSON")
    no_quorum = "accepted and without meaning: there is no KRaft quorum here"
    parser.add_argument("--standalone", "-s", action="store_true", help=no_quorum)
    parser.add_argument("--no-initial-controllers", "-N", action="store_true", help=no_quorum)
    parser.add_argument("--initial-controllers", "-I", metavar="LIST", help=no_quorum)
    parser.add_argument("--release-version", "-r", metavar="RELEASE", help=no_quorum)
    parser.add_argument("--feature", "-f", metavar="NAME=LEVEL", action="append", help=no_quorum)
    parser.add_argument(
        "--add-scram", "-S", metavar="CREDENTIAL", action="append", help="refused: there is no SASL yet"
    )
    return parser


def new_uuid() -> str:
    """As Kafka's `Uuid.randomUuid`: 22 characters, never with a dash in front."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text


def check_uuid(text: str) -> None:
    """Raises: CommandError."""
    try:
        is_uuid = len(base64.b64decode(text + "==", altchars=b"-_", validate=True)) == 16
    except (binascii.Error, ValueError):
        is_uuid = False
    if not is_uuid:
        raise CommandError(
            f"Cluster ID string {text} does not appear to be a valid UUID: `mainstem storage random-uuid` makes one"
        )


def format_all(options: argparse.Namespace) -> int:
    """Raises: CommandError, StorageError, ConfigError."""
    from mainstem.app.format import CLUSTER_ID_SETTING, format_directories, found_properties
    from mainstem.app.settings import load_settings

    check_uuid(options.cluster_id)
    overrides = [f"{CLUSTER_ID_SETTING}={options.cluster_id}"]
    config = load_settings(Path(options.config), os.environ, overrides).config
    formatted = [place for place, properties in found_properties(config).items() if properties]
    if formatted and not options.ignore_formatted:
        raise CommandError(
            f"Log directory {formatted[0]} is already formatted. Use --ignore-formatted to ignore this directory and"
            " format the others."
        )
    fresh = [place for place in config.log_dirs if place not in formatted]
    if options.json:
        if fresh:
            format_directories(config, options.cluster_id)
        print_json({"cluster_id": options.cluster_id, "formatted": fresh})
        return 0
    if not fresh:
        print("All of the log directories are already formatted.")
        return 0
    format_directories(config, options.cluster_id)
    for place in fresh:
        kind = "metadata" if place == config.log_dirs[0] else "data"
        print(f"Formatting {kind} directory {place} for cluster {options.cluster_id}.")
    return 0


def info(options: argparse.Namespace) -> int:
    """Status 1 if a directory is not formatted, as in Kafka. Raises: StorageError, ConfigError."""
    from mainstem.app.format import found_properties
    from mainstem.app.settings import load_settings

    config = load_settings(Path(options.config), os.environ, []).config
    found = found_properties(config)
    if options.json:
        print_json({place: dict(properties) for place, properties in found.items()})
        return 0 if all(found.values()) else 1
    print("Found log director" + ("y:" if len(found) == 1 else "ies:"))
    print("\n".join(f"  {place}" for place in found))
    print()
    print(_metadata_line(next((properties for properties in found.values() if properties), {})))
    problems = [f"{place} is not formatted." for place, properties in found.items() if not properties]
    if problems:
        print("Found problem" + ("s:" if len(problems) > 1 else ":"))
        print("\n".join(f"  {problem}" for problem in problems))
    print()
    return 1 if problems else 0


def _metadata_line(properties: Mapping[str, str]) -> str:
    text = ", ".join(f"{key}={value}" for key, value in sorted(properties.items()))
    return f"Found metadata: {{{text}}}\n" if properties else "Found metadata: none\n"
