"""The tables agree with what Apache Kafka 4.1 lists, apart from differences that are named here."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.broker_keys import HONOURED_KEYS
from mainstem.model.configs.broker_known import all_broker_keys
from mainstem.model.configs.group import GROUP_KEYS, GroupConfig
from mainstem.model.configs.key import ConfigType
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.configs.topic_keys import TOPIC_KEYS

KAFKA = json.loads((Path(__file__).parent / "kafka-4.1-configs.json").read_text())

OUR_TOPIC_KEYS = {"flush.policy"}
OUR_BROKER_KEYS = {
    "coordinator",
    "faults.enable",
    "faults.seed",
    "log.flush.policy",
    "log.storage",
    "metrics.host",
    "metrics.port",
}
OTHER_DEFAULT = {
    "listeners",
    "log.dir",
    "log.dirs",
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.voters",
    "listener.security.protocol.map",
}
"""Set by the operator in the recorded cluster, or ours on purpose."""
NOT_DYNAMIC = {"listeners", "listener.security.protocol.map"}
"""Kafka reopens listeners at run time; we do not."""


def kafka_rows(kind: str) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in KAFKA[kind]}


def test_topic_keys_are_those_of_kafka() -> None:
    assert set(TOPIC_KEYS) - OUR_TOPIC_KEYS == set(kafka_rows("topic"))


def test_broker_keys_are_those_of_kafka() -> None:
    assert set(all_broker_keys()) - OUR_BROKER_KEYS == set(kafka_rows("broker"))


def test_group_keys_are_those_of_kafka() -> None:
    assert set(GROUP_KEYS) == set(kafka_rows("group"))


@pytest.mark.parametrize(
    ("kind", "table"), [("topic", TOPIC_KEYS), ("broker", all_broker_keys()), ("group", GROUP_KEYS)]
)
def test_types_defaults_and_flags_are_those_of_kafka(kind: str, table: dict[str, object]) -> None:
    ours, theirs = {}, {}
    for name, row in kafka_rows(kind).items():
        key = (all_broker_keys() if kind == "broker" else table)[name]
        default = row["default"] if name not in OTHER_DEFAULT else key.default
        read_only = row["read_only"] if name not in NOT_DYNAMIC else True
        theirs[name] = (row["type"], default, read_only, row["sensitive"])
        ours[name] = (key.type.name.lower(), key.default, key.read_only, key.is_sensitive)
    assert ours == theirs


def test_synonyms_of_topic_keys_are_those_of_kafka() -> None:
    for name, row in kafka_rows("topic").items():
        # Kafka lists synonyms that have a value only, and once for each place where one is set.
        if row["synonyms"]:
            assert list(TOPIC_KEYS[name].synonyms) == list(dict.fromkeys(row["synonyms"])), name


def test_every_default_is_itself_allowed() -> None:
    for key in [*TOPIC_KEYS.values(), *all_broker_keys().values(), *GROUP_KEYS.values()]:
        if key.default is not None:
            assert key.parse(key.default) == key.default_value(), key.name


def test_every_key_is_documented_in_one_sentence() -> None:
    for key in [*TOPIC_KEYS.values(), *HONOURED_KEYS.values(), *GROUP_KEYS.values()]:
        assert key.doc[0].isupper(), key.name
        assert key.doc.endswith("."), key.name


def test_typed_views_have_exactly_the_keys_of_their_tables() -> None:
    def fields(view: type) -> set[str]:
        return {field.name for field in dataclasses.fields(view)}

    assert fields(TopicConfig) == {key.attribute for key in TOPIC_KEYS.values()}
    assert fields(GroupConfig) == {key.attribute for key in GROUP_KEYS.values()}
    folded = {
        "log_retention_minutes",
        "log_retention_hours",
        "log_roll_hours",
        "log_roll_jitter_hours",
        "log_dir",
        "broker_id",
        "listener_security_protocol_map",
        "controller_listener_names",
    }
    assert fields(BrokerConfig) - {"given"} == {key.attribute for key in HONOURED_KEYS.values()} - folded


def test_values_of_the_typed_view_have_the_types_of_their_keys() -> None:
    config = TopicConfig.resolve({}, BrokerConfig.from_texts({}))
    python_types = {
        ConfigType.BOOLEAN: bool,
        ConfigType.INT: int,
        ConfigType.LONG: int,
        ConfigType.DOUBLE: float,
        ConfigType.LIST: tuple,
        ConfigType.STRING: str,
    }
    for key in TOPIC_KEYS.values():
        assert type(getattr(config, key.attribute)) is python_types[key.type], key.name
