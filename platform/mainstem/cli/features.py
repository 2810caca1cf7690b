"""`mainstem features`: the flags and the output of Kafka's `kafka-features.sh`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.cluster_commands import connected
from mainstem.cli.output import print_json
from mainstem.client.admin import Admin
from mainstem.client.cluster_facts import Feature, describe_features
from mainstem.client.feature_updates import Downgrade, update_features

ACTIONS = {
    "describe": "print the features with their levels",
    "upgrade": "raise features",
    "downgrade": "lower features",
    "disable": "turn features off",
}
NO_LEVELS = "metadata.version is a level of Kafka's KRaft quorum, which has no meaning to this command"
_METADATA_RELEASES = {
    7: "3.3-IV3",
    8: "3.4-IV0",
    9: "3.5-IV0",
    10: "3.5-IV1",
    11: "3.5-IV2",
    12: "3.6-IV0",
    13: "3.6-IV1",
    14: "3.6-IV2",
    15: "3.7-IV0",
    16: "3.7-IV1",
    17: "3.7-IV2",
    18: "3.7-IV3",
    19: "3.7-IV4",
    20: "3.8-IV0",
    21: "3.9-IV0",
    22: "4.0-IV0",
    23: "4.0-IV1",
    24: "4.0-IV2",
    25: "4.0-IV3",
    26: "4.1-IV0",
    27: "4.1-IV1",
}
"""Kafka prints the levels of its metadata by release."""
EXAMPLES = (
    "mainstem features --bootstrap-server localhost:9092 describe",
    "mainstem features --bootstrap-server localhost:9092 upgrade --feature transaction.version=2",
    "mainstem features --bootstrap-server localhost:9092 disable --feature group.version --dry-run",
)


def main(arguments: Sequence[str]) -> int:
    parser = Parser("features", "Describe the features of a cluster, raise and lower them.", EXAMPLES)
    parser.action(ACTIONS)
    parser.connection()
    parser.value("--bootstrap-controller", "HOST:PORT", "refused: there are no KRaft controllers here")
    parser.values("--feature", "NAME[=LEVEL]", "a feature to change; may be repeated")
    parser.value("--metadata", "RELEASE", "refused: the level of KRaft's metadata")
    parser.value("--release-version", "RELEASE", "refused: levels of a release of Kafka")
    parser.flag("--unsafe", "with downgrade and disable: even if something may be lost")
    parser.flag("--dry-run", "only say what would be done")
    parser.flag("--json", "print the result as JSON")
    options = parser.read(arguments)
    check(parser, options)
    with connected(options) as admin:
        if options.action != "describe":
            return change(admin, options)
        found = describe_features(admin.cluster)
    if options.json:
        print_json(found)
    else:
        for feature in found:
            print(feature_line(feature))
    return 0


def check(parser: Parser, options: argparse.Namespace) -> None:
    """Raises: UsageError."""
    if options.bootstrap_controller is not None:
        parser.error("there are no KRaft controllers here: use --bootstrap-server")
    if options.metadata is not None or options.release_version is not None:
        parser.error(f"{NO_LEVELS}: name each --feature")
    parser.only(
        options,
        options.action,
        {
            "--feature": ("upgrade", "downgrade", "disable"),
            "--unsafe": ("downgrade", "disable"),
            "--dry-run": ("upgrade", "downgrade", "disable"),
        },
    )
    if options.action != "describe" and not options.feature:
        parser.error("You must specify at least one feature to change: --feature NAME=LEVEL")


def feature_line(feature: Feature) -> str:
    epoch = "-" if feature.epoch is None else feature.epoch
    return "\t".join(
        [
            f"Feature: {feature.name}",
            f"SupportedMinVersion: {_level(feature.name, feature.supported_min)}",
            f"SupportedMaxVersion: {_level(feature.name, feature.supported_max)}",
            f"FinalizedVersionLevel: {_level(feature.name, feature.finalized)}",
            f"Epoch: {epoch}",
        ]
    )


def _level(name: str, level: int) -> str:
    return _METADATA_RELEASES.get(level, str(level)) if name == "metadata.version" else str(level)


def change(admin: Admin, options: argparse.Namespace) -> int:
    wanted = dict(_wanted(text, options.action) for text in options.feature)
    lowered = Downgrade.UNSAFE if options.unsafe else Downgrade.SAFE
    how = Downgrade.NONE if options.action == "upgrade" else lowered
    problems = update_features(admin.cluster, wanted, how, only_check=options.dry_run)
    if options.json:
        print_json([{"feature": name, "level": level, "error": problems[name]} for name, level in wanted.items()])
        return 1 if any(problems.values()) else 0
    done, undone = ("can be", "Can not") if options.dry_run else ("was", "Could not")
    for name, level in wanted.items():
        target = name if options.action == "disable" else f"{name} to {level}"
        if problems[name] is not None:
            print(f"{undone} {options.action} {target}. {problems[name]}")
        elif options.action == "disable":
            print(f"{name} {done} disabled.")
        else:
            print(f"{name} {done} {options.action}d to {level}.")
    failed = sum(problem is not None for problem in problems.values())
    if failed:
        raise CommandError(f"{failed} out of {len(wanted)} operation(s) failed.")
    return 0


def _wanted(text: str, action: str) -> tuple[str, int]:
    name, equals, level = text.partition("=")
    if action == "disable":
        if equals:
            raise CommandError(f"Can't disable {text}: the form is NAME, without a level")
        return name, 0
    if not equals or not (level.isascii() and level.isdecimal()):
        raise CommandError(f"Can't parse feature=level string {text}: the form is NAME=LEVEL, the level a whole number")
    return name, int(level)
