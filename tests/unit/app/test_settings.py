from __future__ import annotations

from pathlib import Path

import pytest

from mainstem.app.settings import environment_key, load_settings
from mainstem.model.errors import ConfigError


def test_without_anything_the_broker_is_on_port_9092_of_this_machine() -> None:
    settings = load_settings(None, {}, [])
    (listener,) = settings.config.listeners
    assert (listener.host, listener.port) == ("127.0.0.1", 9092)
    assert settings.config.log_dirs == ("./mainstem-data",)
    assert settings.config.node_id == 1
    assert (settings.warnings, dict(settings.origins)) == ((), {})


def test_overrides_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text("num.partitions=1\nlog.retention.ms = 11\nmessage.max.bytes: 111\n")
    env = {"KAFKA_NUM_PARTITIONS": "2", "KAFKA_LOG_RETENTION_MS": "22"}
    settings = load_settings(path, env, ["num.partitions=3"])
    config = settings.config
    assert (config.num_partitions, config.log_retention_ms, config.message_max_bytes) == (3, 22, 111)
    assert settings.origins == {
        "num.partitions": "--override",
        "log.retention.ms": "the environment",
        "message.max.bytes": str(path),
    }


def test_the_file_is_read_as_java_does(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text("# a comment\n! another\nlog.dirs=/a,\\\n   /b\nbroker.rack=caf\\u00e9\n\nnode.id 7\n")
    config = load_settings(path, {}, []).config
    assert (config.log_dirs, config.broker_rack, config.node_id) == (("/a", "/b"), "café", 7)


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("KAFKA_LISTENERS", "listeners"),
        ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "auto.create.topics.enable"),
        ("KAFKA_A__B_C", "a_b.c"),
        ("KAFKA_A___B", "a-b"),
        ("KAFKA_LISTENER_NAME_EXTERNAL___1_SSL_KEY_PASSWORD", "listener.name.external-1.ssl.key.password"),
    ],
)
def test_environment_variables_name_keys_as_kafkas_images_do(variable: str, key: str) -> None:
    assert environment_key(variable) == key


def test_variables_of_kafkas_scripts_and_of_others_are_left_alone() -> None:
    env = {
        "KAFKA_OPTS": "-Dx",
        "KAFKA_HEAP_OPTS": "-Xmx1g",
        "KAFKA_JVM_PERFORMANCE_OPTS": "",
        "KAFKA_LOG4J_ROOT_LOGLEVEL": "WARN",
        "KAFKA_JMX_PORT": "1",
        "PATH": "/bin",
        "MY_KAFKA_NUM_PARTITIONS": "9",
    }
    settings = load_settings(None, env, [])
    assert (dict(settings.origins), settings.warnings) == ({}, ())


def test_an_unknown_key_is_a_warning_with_the_near_one_and_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text("num.partitons=3\n")
    settings = load_settings(path, {"KAFKA_QWERTY": "1"}, [])
    assert settings.warnings == (
        f"{path}: num.partitons is not a known configuration; did you mean num.partitions?",
        "the environment: qwerty is not a known configuration",
    )
    assert settings.config.num_partitions == 1


def test_kafkas_own_example_files_start_without_unknown_keys(tmp_path: Path) -> None:
    """The keys that Kafka 3's (ZooKeeper) and Kafka 4's (KRaft) sample files set."""
    path = tmp_path / "server.properties"
    path.write_text(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n"
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n"
        "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n"
        "controller.listener.names=CONTROLLER\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n"
        "num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\nlog.dirs=/var/lib/kafka\n"
        "offsets.topic.replication.factor=1\nzookeeper.connect=localhost:2181\n"
    )
    (warning,) = load_settings(path, {}, []).warnings
    assert warning == (
        "accepted for compatibility, without effect: process.roles, controller.quorum.voters,"
        " num.network.threads, num.io.threads, socket.send.buffer.bytes"
    )


def test_security_that_is_not_there_is_said_loudly() -> None:
    settings = load_settings(None, {}, ["authorizer.class.name=x.y.Z", "ssl.keystore.location=/k"])
    assert settings.warnings == (
        "this broker does not protect anything yet; without effect: authorizer.class.name, ssl.keystore.location",
    )


def test_a_bad_value_names_key_value_and_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"^num\.partitions='none' is not valid: a number of at least 1$"):
        load_settings(None, {"KAFKA_NUM_PARTITIONS": "none"}, [])


@pytest.mark.parametrize("override", ["num.partitions", "=3", "", " = "])
def test_an_override_without_key_and_value_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="the form is key=value"):
        load_settings(None, {}, [override])


def test_an_override_may_have_an_equals_sign_in_its_value() -> None:
    assert load_settings(None, {}, ["broker.rack=a=b"]).config.broker_rack == "a=b"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_settings(tmp_path / "absent", {}, [])
    with pytest.raises(ConfigError, match="Is a directory"):
        load_settings(tmp_path, {}, [])
    garbled = tmp_path / "garbled"
    garbled.write_text("a=\\u12")
    with pytest.raises(ConfigError, match="not a Java properties file"):
        load_settings(garbled, {}, [])
