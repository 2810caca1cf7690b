"""`mainstem configs` on a broker. The expected texts are what Apache Kafka 4.1's kafka-configs prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run


def test_a_topics_settings_are_made_shown_and_taken_back(mainstem: Run) -> None:
    mainstem("topics --create --topic orders --config retention.ms=1000")
    assert mainstem("configs --describe --topic orders") == (
        0,
        "Dynamic configs for topic orders are:\n"
        "  retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000}\n",
        "",
    )
    assert mainstem("configs --alter --topic orders --add-config cleanup.policy=[compact,delete],segment.ms=7") == (
        0,
        "Completed updating config for topic orders.\n",
        "",
    )
    mainstem("configs --alter --topic orders --delete-config retention.ms,segment.ms")
    assert mainstem("configs --describe --entity-type topics --entity-name orders").out == (
        "Dynamic configs for topic orders are:\n"
        "  cleanup.policy=compact,delete sensitive=false"
        " synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}\n"
    )


def test_synonyms_of_one_name_are_all_shown(mainstem: Run) -> None:
    mainstem("topics --create --topic squeezed --config compression.type=producer")
    assert mainstem("configs --describe --topic squeezed").out.splitlines()[1] == (
        "  compression.type=producer sensitive=false synonyms="
        "{DYNAMIC_TOPIC_CONFIG:compression.type=producer, DEFAULT_CONFIG:compression.type=producer}"
    )


def test_all_settings_of_a_topic_and_of_a_broker(mainstem: Run) -> None:
    mainstem("topics --create --topic everything")
    topic = mainstem("configs --describe --topic everything --all").out
    assert topic.startswith("All configs for topic everything are:\n  cleanup.policy=delete sensitive=false")
    broker = mainstem("configs --describe --broker 1 --all").out
    assert "\n  num.partitions=1 sensitive=false synonyms={DEFAULT_CONFIG:num.partitions=1}\n" in broker
    assert "\n  ssl.key.password=null sensitive=true synonyms={}\n" in broker


def test_defaults_of_all_brokers(mainstem: Run) -> None:
    assert mainstem("configs --alter --broker-defaults --add-config log.retention.ms=5000").out == (
        "Completed updating default config for brokers in the cluster.\n"
    )
    assert mainstem("configs --describe --entity-type brokers").out == (
        "Dynamic configs for broker 1 are:\n"
        "Default configs for brokers in the cluster are:\n"
        "  log.retention.ms=5000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=5000}\n"
    )
    mainstem("topics --create --topic inheriting")
    assert "  retention.ms=5000 " in mainstem("configs --describe --topic inheriting --all").out
    mainstem("configs --alter --broker-defaults --delete-config log.retention.ms")
    assert "  retention.ms=604800000 " in mainstem("configs --describe --topic inheriting --all").out


def test_settings_of_a_group(mainstem: Run) -> None:
    assert mainstem("configs --alter --group g --add-config consumer.session.timeout.ms=50000").status == 0
    assert mainstem("configs --describe --group g").out == (
        "Dynamic configs for group g are:\n"
        "  consumer.session.timeout.ms=50000 sensitive=false"
        " synonyms={DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000}\n"
    )


def test_settings_from_a_file(mainstem: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.properties"
    path.write_text("retention.ms=9\nsegment.ms = 8\n")
    mainstem("topics --create --topic filed")
    assert mainstem(f"configs --alter --topic filed --add-config-file {path}").status == 0
    (document,) = json.loads(mainstem("configs --describe --topic filed --json").out)
    assert {config["name"]: config["value"] for config in document["configs"]} == {
        "retention.ms": "9",
        "segment.ms": "8",
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--alter --topic there --add-config retention.ms=x", "retention.ms='x' is not valid: a number of at least -1"),
        ("--alter --topic there --add-config retention.ms", 'must be in the format "key=val" or'),
        ("--alter --topic there --add-config 'a b=c'", 'must be in the format "key=val" or'),
        ("--alter --topic there --add-config no.such.key=1", "unknown topic config name"),
        ("--alter --topic there --delete-config segment.ms", "Invalid config(s): segment.ms"),
        ("--alter --broker 1 --add-config num.partitions=3", "num.partitions is read at start only"),
        ("--describe --topic 'no where'", "topic name 'no where' has a character other than"),
        ("--alter --broker 7 --add-config log.cleaner.threads=2", "there is no broker 7"),
    ],
)
def test_what_cannot_be_done_is_said(mainstem: Run, line: str, problem: str) -> None:
    mainstem("topics --create --topic there --if-not-exists")
    finished = mainstem(f"configs {line}")
    assert (finished.status, finished.out) == (1, "")
    assert problem in finished.err


@pytest.mark.parametrize(
    ("entity", "name"), [("topic", "nowhere"), ("broker", "7"), ("group", "nobody"), ("client-metric", "none")]
)
def test_what_does_not_exist_has_no_settings_and_that_is_no_failure(mainstem: Run, entity: str, name: str) -> None:
    plural = "client-metrics" if entity == "client-metric" else f"{entity}s"
    described = f"configs --describe --entity-type {plural} --entity-name {name}"
    assert mainstem(described) == (0, f"The {entity} '{name}' doesn't exist and doesn't have dynamic config.\n", "")
    assert mainstem(f"{described} --json").out == "[]\n"
