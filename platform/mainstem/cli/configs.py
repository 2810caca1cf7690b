"""`mainstem configs`: the flags and the output of Kafka's `kafka-configs.sh`. Users, clients and addresses have none here."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NamedTuple

from mainstem.cli.arguments import Parser, field, given, properties_file
from mainstem.cli.cluster_commands import connected
from mainstem.cli.output import print_json
from mainstem.client.admin import Admin
from mainstem.client.configs import ConfigValue
from mainstem.model.errors import MainstemError
from mainstem.model.topic import topic_name_problem

ENTITY_TYPES = {
    "topics": "topic",
    "brokers": "broker",
    "groups": "group",
    "client-metrics": "client-metric",
    "broker-loggers": "broker-logger",
}
SHORT = {
    "--topic": "topic",
    "--broker": "broker",
    "--group": "group",
    "--client-metrics": "client-metric",
    "--broker-logger": "broker-logger",
}
NOT_HERE = {
    "users": ("--user", "--user-defaults"),
    "clients": ("--client", "--client-defaults"),
    "ips": ("--ip", "--ip-defaults"),
}
"""Kinds whose settings are quotas and passwords, with their short flags."""
OWN_SOURCE = {
    "topic": "DYNAMIC_TOPIC_CONFIG",
    "broker": "DYNAMIC_BROKER_CONFIG",
    "group": "DYNAMIC_GROUP_CONFIG",
    "client-metric": "DYNAMIC_CLIENT_METRICS_CONFIG",
}
CLUSTER_SOURCE = "DYNAMIC_DEFAULT_BROKER_CONFIG"
EXAMPLES = (
    "mainstem configs --bootstrap-server localhost:9092 --describe --topic orders --all",
    "mainstem configs --bootstrap-server localhost:9092 --alter --topic orders --add-config retention.ms=3600000",
    "mainstem configs --bootstrap-server localhost:9092 --alter --topic orders --delete-config retention.ms",
    "mainstem configs --bootstrap-server localhost:9092 --alter --broker-defaults --add-config log.retention.ms=-1",
)


class ConfigCommandError(MainstemError):
    """Something that the command itself finds wrong."""


class Entity(NamedTuple):
    """`name` is None for all of the kind, `""` for the cluster's defaults of brokers."""

    kind: str
    name: str | None

    @property
    def plural(self) -> str:
        return next(plural for plural, kind in ENTITY_TYPES.items() if kind == self.kind)


def main(arguments: Sequence[str]) -> int:
    parser = configs_parser()
    options = parser.read(arguments)
    action = parser.exactly_one(options, ("--describe", "--alter"))
    if options.bootstrap_controller is not None:
        parser.error("there are no KRaft controllers here: use --bootstrap-server")
    parser.forbid(options, "--describe", ("--add-config", "--add-config-file", "--delete-config"))
    parser.forbid(options, "--alter", ("--all",))
    entity = read_entity(parser, options)
    if action == "--alter":
        check_alter(parser, options, entity)
    with connected(options) as admin:
        if action == "--describe":
            describe(admin, options, entity)
        else:
            alter(admin, options, entity)
    return 0


def configs_parser() -> Parser:
    parser = Parser("configs", "Describe and change configurations of topics, brokers and groups.", EXAMPLES)
    parser.connection()
    parser.value("--bootstrap-controller", "HOST:PORT", "refused: there are no KRaft controllers here")
    parser.flag("--describe", "print settings")
    parser.flag("--alter", "change settings")
    parser.flag("--all", "describe every setting, also the inherited ones")
    parser.choice("--entity-type", "TYPE", "what kind it is", tuple(ENTITY_TYPES), is_checked=False)
    parser.value("--entity-name", "NAME", "the topic's name, the broker's id, and so on")
    parser.flag("--entity-default", "with --entity-type brokers: the defaults of all brokers")
    parser.value("--topic", "TOPIC", "short for --entity-type topics --entity-name TOPIC")
    parser.value("--broker", "ID", "short for --entity-type brokers --entity-name ID")
    parser.flag("--broker-defaults", "short for --entity-type brokers --entity-default")
    parser.value("--group", "GROUP", "short for --entity-type groups --entity-name GROUP")
    parser.value("--client-metrics", "NAME", "short for --entity-type client-metrics --entity-name NAME")
    parser.value("--broker-logger", "ID", "short for --entity-type broker-loggers --entity-name ID")
    for kind, (one, all_of_them) in NOT_HERE.items():
        parser.value(one, "NAME", f"refused: {kind} have no settings here")
        parser.flag(all_of_them, f"refused: {kind} have no settings here")
    parser.value("--add-config", "K=V,...", "settings to make; a value with commas goes in brackets: k=[a,b]")
    parser.value("--add-config-file", "FILE", "settings to make, from a properties file")
    parser.value("--delete-config", "K,...", "settings to take back")
    parser.flag("--json", "print the result as JSON")
    return parser


def read_entity(parser: Parser, options: argparse.Namespace) -> Entity:
    """What the command is about. Raises: UsageError."""
    for kind, flags in NOT_HERE.items():
        if any(given(options, flag) for flag in flags):
            parser.error(no_settings(kind))
    short = [name for name in (*SHORT, "--broker-defaults") if given(options, name)]
    long = [name for name in ("--entity-type", "--entity-name", "--entity-default") if given(options, name)]
    if short and long:
        parser.error("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
    if len(short) > 1:
        parser.error(
            "Only 'users' and 'clients' entity types may be specified together;"
            f" {' and '.join(short)} are described and altered one at a time"
        )
    entity = _short_entity(options, short[0]) if short else _long_entity(parser, options)
    if entity.kind in ("broker", "broker-logger") and entity.name and not entity.name.isdecimal():
        parser.error(f"The entity name for {entity.plural} must be a valid integer broker id, but it is: {entity.name}")
    return entity


def no_settings(kind: str) -> str:
    return f"{kind} have no settings here yet: this command does topics, brokers, groups and client-metrics"


def _short_entity(options: argparse.Namespace, flag: str) -> Entity:
    if flag == "--broker-defaults":
        return Entity("broker", "")
    return Entity(SHORT[flag], getattr(options, field(flag)))


def _long_entity(parser: Parser, options: argparse.Namespace) -> Entity:
    if options.entity_type is None:
        parser.error("At least one entity type must be specified")
    if options.entity_type in NOT_HERE:
        parser.error(no_settings(options.entity_type))
    if options.entity_type not in ENTITY_TYPES:
        allowed = ", ".join(ENTITY_TYPES)
        parser.error(f"Invalid entity type {options.entity_type}, the entity type must be one of {allowed}")
    kind = ENTITY_TYPES[options.entity_type]
    if options.entity_default:
        if kind != "broker":
            parser.error(f"--entity-default must not be specified with {options.entity_type}")
        return Entity(kind, "")
    return Entity(kind, options.entity_name)


def check_alter(parser: Parser, options: argparse.Namespace, entity: Entity) -> None:
    if entity.name is None and entity.kind == "broker":
        parser.error(
            "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips"
        )
    if entity.name is None:
        parser.error(f"An entity name must be specified with --alter of {entity.plural}")
    if not any(given(options, name) for name in ("--add-config", "--add-config-file", "--delete-config")):
        parser.error(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter"
        )
    if given(options, "--add-config") and given(options, "--add-config-file"):
        parser.error("Only one of --add-config or --add-config-file must be specified")


def describe(admin: Admin, options: argparse.Namespace, entity: Entity) -> None:
    documents = []
    if entity.name and (problem := absence(admin, entity)) is not None:
        # Kafka prints this and ends well: whoever looks for settings has found that there are none.
        print_json([]) if options.json else print(problem)
        return
    for each in entities(admin, entity):
        values = wanted_values(admin, each, with_all=options.all)
        if options.json:
            documents.append({"entity_type": each.plural, "entity_name": each.name, "configs": values})
            continue
        print(headline(each, with_all=options.all))
        for value in values:
            print(value_line(value))
    if options.json:
        print_json(documents)


def absence(admin: Admin, entity: Entity) -> str | None:
    """That the one that is named does not exist. Raises: ConfigCommandError for a name no topic can have."""
    assert entity.name is not None, "a kind is always there"
    if entity.kind == "topic" and (problem := topic_name_problem(entity.name)) is not None:
        raise ConfigCommandError(problem)
    if entity.name in names_of(admin, entity.kind) or not can_tell(admin, entity.kind):
        return None
    return f"The {entity.kind} '{entity.name}' doesn't exist and doesn't have dynamic config."


def can_tell(admin: Admin, kind: str) -> bool:
    """Whether the broker can list all there are: groups and client metrics may have settings without existing."""
    return kind not in ("group", "client-metric") or admin.can_list_configured


def entities(admin: Admin, entity: Entity) -> list[Entity]:
    """The one that is named, or all of its kind."""
    if entity.name is not None:
        return [entity]
    names = names_of(admin, entity.kind)
    return [Entity(entity.kind, name) for name in ([*names, ""] if entity.kind == "broker" else names)]


def names_of(admin: Admin, kind: str) -> list[str]:
    match kind:
        case "topic":
            return admin.topics()
        case "broker" | "broker-logger":
            return [str(broker) for broker in admin.brokers()]
        case "group":
            groups = [listing.group for listing in admin.groups().listings()]
            return sorted({*groups, *admin.configured(kind)})
        case _:
            return admin.configured(kind)


def wanted_values(admin: Admin, entity: Entity, *, with_all: bool) -> list[ConfigValue]:
    """All settings, or those that were made on the entity itself; a logger has no other."""
    values = admin.configs(entity.kind, entity.name or "")
    if with_all or entity.kind == "broker-logger":
        return values
    source = CLUSTER_SOURCE if entity == ("broker", "") else OWN_SOURCE[entity.kind]
    return [value for value in values if value.source == source]


def headline(entity: Entity, *, with_all: bool) -> str:
    if not entity.name:
        return f"Default configs for {entity.plural} in the cluster are:"
    return f"{'All' if with_all else 'Dynamic'} configs for {entity.kind} {entity.name} are:"


def value_line(value: ConfigValue) -> str:
    synonyms = ", ".join(f"{each.source}:{each.name}={_java(each.value)}" for each in value.synonyms)
    sensitive = "true" if value.is_sensitive else "false"
    return f"  {value.name}={_java(value.value)} sensitive={sensitive} synonyms={{{synonyms}}}"


def _java(value: str | None) -> str:
    return "null" if value is None else value


def alter(admin: Admin, options: argparse.Namespace, entity: Entity) -> None:
    assert entity.name is not None, "checked by check_alter"
    added = properties_file(options.add_config_file) | parse_added(options.add_config or "")
    deleted = [key.strip() for key in options.delete_config.split(",")] if options.delete_config else []
    own = {value.name for value in wanted_values(admin, entity, with_all=False)}
    absent = [key for key in deleted if key not in own]
    if absent:
        raise ConfigCommandError(f"Invalid config(s): {','.join(absent)}")
    changes: dict[str, str | None] = dict.fromkeys(deleted)
    admin.alter_configs(entity.kind, entity.name, changes | added)
    if options.json:
        print_json({"entity_type": entity.plural, "entity_name": entity.name, "added": added, "deleted": deleted})
    elif entity.name:
        print(f"Completed updating config for {entity.kind} {entity.name}.")
    else:
        print(f"Completed updating default config for {entity.plural} in the cluster.")


_COMMA_OUTSIDE_BRACKETS = re.compile(r",(?=[^\]]*(?:\[|$))")


def parse_added(text: str) -> dict[str, str]:
    """`k1=v1,k2=[a,b]` → {"k1": "v1", "k2": "a,b"}. Raises: ConfigCommandError."""
    added = {}
    for pair in _COMMA_OUTSIDE_BRACKETS.split(text) if text else []:
        key, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[a-zA-Z0-9._-]+", key.strip()):
            raise ConfigCommandError(
                f"requirement failed: Invalid entity config {pair!r}: all configs to be added must be in the format"
                ' "key=val" or "key=[val1,val2]" to group values which contain commas.'
            )
        added[key.strip()] = value.strip().removeprefix("[").removesuffix("]").strip()
    return added
