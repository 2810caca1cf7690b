from __future__ import annotations

import pytest

from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.broker_known import NO_EFFECT, all_broker_keys, is_known
from mainstem.model.configs.group import GroupConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ConfigError

DEFAULTS = BrokerConfig.from_texts({})
OFFSET_RESET = "latest, earliest, or by_duration: and an ISO 8601 duration such as PT1H"


@pytest.mark.parametrize(
    ("texts", "retention_ms"),
    [
        ({}, 604_800_000),
        ({"log.retention.hours": "1"}, 3_600_000),
        ({"log.retention.hours": "1", "log.retention.minutes": "2"}, 120_000),
        ({"log.retention.hours": "1", "log.retention.minutes": "2", "log.retention.ms": "3"}, 3),
        ({"log.retention.hours": "-1"}, -1),
        ({"log.retention.minutes": "-1"}, -1),
        ({"log.retention.ms": "-1"}, -1),
    ],
)
def test_the_finest_unit_of_retention_wins_and_minus_one_is_no_limit(texts: dict[str, str], retention_ms: int) -> None:
    config = BrokerConfig.from_texts(texts)
    assert config.log_retention_ms == retention_ms
    assert TopicConfig.resolve({}, config).retention_ms == retention_ms


@pytest.mark.parametrize("name", ["log.retention.ms", "log.retention.minutes", "log.retention.hours"])
def test_no_retention_at_all_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}='0' is not valid: -1 for no limit, or more than 0"):
        BrokerConfig.from_texts({name: "0"})


def test_segments_roll_by_hours_unless_milliseconds_are_given() -> None:
    assert BrokerConfig.from_texts({"log.roll.hours": "2"}).log_roll_ms == 7_200_000
    assert BrokerConfig.from_texts({"log.roll.hours": "2", "log.roll.ms": "5"}).log_roll_ms == 5
    assert BrokerConfig.from_texts({"log.roll.jitter.hours": "1"}).log_roll_jitter_ms == 3_600_000


def test_flushing_follows_the_scheduler_unless_it_has_an_interval_of_its_own() -> None:
    assert BrokerConfig.from_texts({"log.flush.scheduler.interval.ms": "7"}).log_flush_interval_ms == 7
    both = {"log.flush.scheduler.interval.ms": "7", "log.flush.interval.ms": "9"}
    assert TopicConfig.resolve({}, BrokerConfig.from_texts(both)).flush_ms == 9


def test_broker_id_is_the_old_name_of_node_id() -> None:
    assert BrokerConfig.from_texts({"broker.id": "4"}).node_id == 4
    assert BrokerConfig.from_texts({"broker.id": "-1"}).node_id == 1
    assert BrokerConfig.from_texts({"broker.id": "4", "node.id": "4"}).node_id == 4
    with pytest.raises(ConfigError, match=r"^broker\.id='5' is not valid: it must equal node.id, which is 4"):
        BrokerConfig.from_texts({"broker.id": "5", "node.id": "4"})


def test_log_dirs_go_before_log_dir() -> None:
    assert BrokerConfig.from_texts({"log.dir": "/a"}).log_dirs == ("/a",)
    assert BrokerConfig.from_texts({"log.dir": "/a", "log.dirs": "/b, /c"}).log_dirs == ("/b", "/c")


@pytest.mark.parametrize("texts", [{"log.dirs": "/a,/a"}, {"log.dirs": "/a,,/b"}, {"log.dirs": ""}, {"log.dir": " "}])
def test_directories_must_be_named_once_each(texts: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"log\.dirs?="):
        BrokerConfig.from_texts(texts)


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        ({"num.partitions": "0"}, "num.partitions"),
        ({"default.replication.factor": "0"}, "default.replication.factor"),
        ({"background.threads": "many"}, "background.threads"),
        ({"metrics.port": "70000"}, "metrics.port"),
        ({"log.storage": ""}, "log.storage"),
        (
            {"group.min.session.timeout.ms": "10", "group.max.session.timeout.ms": "9"},
            "group.min.session.timeout.ms",
        ),
        ({"queued.max.request.bytes": "10", "socket.request.max.bytes": "11"}, "queued.max.request.bytes"),
        (
            {"log.cleaner.min.compaction.lag.ms": "2", "log.cleaner.max.compaction.lag.ms": "1"},
            "log.cleaner.min.compaction.lag.ms",
        ),
    ],
)
def test_bad_and_contradictory_values_are_refused_by_name(texts: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        BrokerConfig.from_texts(texts)
    assert caught.value.key == key


def test_dynamic_settings_lie_over_static_ones_and_one_broker_over_the_cluster() -> None:
    static = BrokerConfig.from_texts({"log.retention.ms": "1", "message.max.bytes": "10"})
    cluster = {"log.retention.ms": "2", "log.segment.bytes": "2000000"}
    assert static.with_dynamic({}, {}) is static
    merged = static.with_dynamic({"log.retention.ms": "3"}, cluster)
    assert (merged.log_retention_ms, merged.log_segment_bytes, merged.message_max_bytes) == (3, 2000000, 10)


def test_any_known_key_can_be_asked_for() -> None:
    config = BrokerConfig.from_texts({"background.threads": "3", "somebody.elses": "x"})
    assert (config.value("background.threads"), config.value("num.io.threads")) == (3, 8)
    assert config.value("log.retention.minutes") is None


def test_settings_of_plugins_are_handed_on_by_prefix() -> None:
    config = BrokerConfig.from_texts({"log.storage": "mine", "log.storage.bucket": "b"})
    assert config.plugin_settings("log.storage.") == {"bucket": "b"}


def test_keys_without_effect_say_so() -> None:
    assert all_broker_keys()["background.threads"].doc == NO_EFFECT
    assert not all_broker_keys()["background.threads"].in_effect


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("num.partitions", True),
        ("controller.quorum.voters", True),
        ("zookeeper.connect", True),
        ("listener.name.internal.ssl.key.password", True),
        ("num.partition", False),
        ("", False),
    ],
)
def test_keys_of_kraft_and_zookeeper_are_known(name: str, known: bool) -> None:
    assert is_known(name) is known


def test_a_topics_own_settings_lie_over_the_brokers() -> None:
    broker = BrokerConfig.from_texts({"message.max.bytes": "5", "log.flush.policy": "none"})
    topic = TopicConfig.resolve({"cleanup.policy": "compact,delete", "retention.ms": "-1"}, broker)
    assert (topic.max_message_bytes, topic.flush_policy, topic.retention_ms) == (5, "none", -1)
    assert topic.cleanup_policy == ("compact", "delete")
    assert topic.is_compacted
    assert not TopicConfig.resolve({}, broker).is_compacted


def test_an_unknown_topic_key_is_refused_with_the_near_one() -> None:
    with pytest.raises(ConfigError, match=r"unknown topic config name; did you mean retention\.ms\?$"):
        TopicConfig.resolve({"retention.m": "1"}, DEFAULTS)
    with pytest.raises(ConfigError, match=r"unknown topic config name$"):
        TopicConfig.resolve({"zzz": "1"}, DEFAULTS)


def test_segments_below_kafkas_minimum_need_kafkas_own_back_door() -> None:
    assert TopicConfig.resolve({"internal.segment.bytes": "4096"}, DEFAULTS).segment_bytes == 4096


@pytest.mark.parametrize(
    "overrides",
    [{"min.compaction.lag.ms": "2", "max.compaction.lag.ms": "1"}, {"remote.storage.enable": "true"}],
)
def test_contradictory_topic_settings_are_refused_when_asked_for_and_bearable_when_stored(
    overrides: dict[str, str],
) -> None:
    TopicConfig.resolve(overrides, DEFAULTS)
    with pytest.raises(ConfigError):
        TopicConfig.checked(overrides, DEFAULTS)


def test_a_group_inherits_from_the_brokers_group_keys() -> None:
    broker = BrokerConfig.from_texts({"group.consumer.session.timeout.ms": "50000"})
    assert GroupConfig.resolve({}, broker).consumer_session_timeout_ms == 50000
    assert GroupConfig.resolve({"consumer.session.timeout.ms": "60000"}, broker).consumer_session_timeout_ms == 60000


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("consumer.session.timeout.ms", "44999", "at least 45000, by group.consumer.min.session.timeout.ms"),
        ("consumer.session.timeout.ms", "60001", "at most 60000, by group.consumer.max.session.timeout.ms"),
        ("streams.num.standby.replicas", "3", "at most 2, by group.streams.max.standby.replicas"),
        ("share.auto.offset.reset", "first", OFFSET_RESET),
        ("share.auto.offset.reset", "by_duration:1h", OFFSET_RESET),
        ("share.auto.offset.reset", "by_duration:P", OFFSET_RESET),
        ("share.auto.offset.reset", "by_duration:PT", OFFSET_RESET),
        (
            "consumer.session.timeout",
            "1",
            "unknown group config name; did you mean consumer.session.timeout.ms?",
        ),
    ],
)
def test_group_settings_outside_the_brokers_bounds_are_refused(name: str, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        GroupConfig.checked({name: text}, DEFAULTS)
    assert caught.value.allowed == problem


@pytest.mark.parametrize(
    "text", ["latest", "earliest", "by_duration:PT1H", "by_duration:P2DT3H4M5.5S", "by_duration:P1D"]
)
def test_share_groups_may_start_anywhere_kafka_allows(text: str) -> None:
    assert GroupConfig.checked({"share.auto.offset.reset": text}, DEFAULTS).share_auto_offset_reset == text


def test_stored_settings_outside_of_new_bounds_are_bearable() -> None:
    broker = BrokerConfig.from_texts({"group.consumer.max.session.timeout.ms": "50000"})
    assert GroupConfig.resolve({"consumer.session.timeout.ms": "60000"}, broker).consumer_session_timeout_ms == 60000


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", {}),
        ("127.0.0.1:200, 10.0.0.7:0", {"127.0.0.1": 200, "10.0.0.7": 0}),
        ("[::1]:5,fe80::0:1:6", {"::1": 5, "fe80::1": 6}),
        ("localhost:3", {"127.0.0.1": 3, "::1": 3}),
    ],
)
def test_limits_of_single_addresses_are_read(text: str, limits: dict[str, int]) -> None:
    config = BrokerConfig.from_texts({"max.connections.per.ip.overrides": text})
    assert config.max_connections_per_ip_overrides == limits


@pytest.mark.parametrize("text", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:x", "a.example:5", ":5", ","])
def test_limits_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"max\.connections\.per\.ip\.overrides"):
        BrokerConfig.from_texts({"max.connections.per.ip.overrides": text})
