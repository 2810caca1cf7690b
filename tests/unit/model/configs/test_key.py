from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.model.configs.key import ConfigKey, ConfigType, show, split_list
from mainstem.model.configs.topic_keys import TOPIC_KEYS
from mainstem.model.errors import ConfigError


def key(kind: ConfigType) -> ConfigKey:
    return ConfigKey(name="some.key", type=kind, default=None, doc="For tests.")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (ConfigType.BOOLEAN, "true", True),
        (ConfigType.BOOLEAN, " FALSE ", False),
        (ConfigType.INT, "-1", -1),
        (ConfigType.INT, "+7", 7),
        (ConfigType.INT, "2147483647", 2147483647),
        (ConfigType.LONG, "9223372036854775807", 2**63 - 1),
        (ConfigType.SHORT, "-32768", -32768),
        (ConfigType.DOUBLE, "0.5", 0.5),
        (ConfigType.DOUBLE, "1.7976931348623157E308", 1.7976931348623157e308),
        (ConfigType.LIST, "", ()),
        (ConfigType.LIST, "a, b,c", ("a", "b", "c")),
        (ConfigType.STRING, " x ", "x"),
    ],
)
def test_text_becomes_a_typed_value(kind: ConfigType, text: str, value: object) -> None:
    assert key(kind).parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ConfigType.BOOLEAN, ""),
        (ConfigType.BOOLEAN, "yes"),
        (ConfigType.BOOLEAN, "1"),
        (ConfigType.INT, ""),
        (ConfigType.INT, "1.5"),
        (ConfigType.INT, "1_000"),
        (ConfigType.INT, "٣"),
        (ConfigType.INT, "0x10"),
        (ConfigType.INT, "2147483648"),
        (ConfigType.INT, "-2147483649"),
        (ConfigType.SHORT, "32768"),
        (ConfigType.LONG, "9223372036854775808"),
        (ConfigType.LONG, "never"),
        (ConfigType.DOUBLE, "half"),
    ],
)
def test_text_of_another_type_is_refused_with_key_value_and_what_is_allowed(kind: ConfigType, text: str) -> None:
    with pytest.raises(ConfigError, match=r"some\.key='.*' is not valid: ") as caught:
        key(kind).parse(text)
    assert (caught.value.key, caught.value.value) == ("some.key", text)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("retention.ms", "-2", "a number of at least -1"),
        ("segment.bytes", "1024", "a number of at least 1048576"),
        ("segment.ms", "0", "a number of at least 1"),
        ("min.cleanable.dirty.ratio", "1.01", "a number from 0 to 1"),
        ("min.cleanable.dirty.ratio", "nan", "a number from 0 to 1"),
        ("compression.gzip.level", "0", "a number from 1 to 9, or -1"),
        ("compression.type", "brotli", "one of uncompressed, zstd, lz4, snappy, gzip, producer"),
        ("cleanup.policy", "delete,archive", "one of compact, delete"),
        ("message.timestamp.type", "createtime", "one of CreateTime, LogAppendTime"),
        (
            "leader.replication.throttled.replicas",
            "0:1,two",
            "'*', or a list of partition:broker pairs such as 0:1,1:2",
        ),
        ("flush.policy", "always", "one of commit, interval, none"),
    ],
)
def test_a_value_outside_what_is_allowed_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TOPIC_KEYS[name].parse(text)
    assert str(caught.value) == f"{name}={text!r} is not valid: {words}"


def test_a_secret_is_not_shown_in_the_refusal() -> None:
    secret = ConfigKey(name="ssl.key.password", type=ConfigType.PASSWORD, default=None, doc="A secret.")
    assert secret.is_sensitive
    assert "hunter2" not in str(secret._refusal("hunter2", "something else"))


def test_throttled_replicas_take_a_star_pairs_or_nothing() -> None:
    row = TOPIC_KEYS["leader.replication.throttled.replicas"]
    assert [row.parse(text) for text in ("*", "0:1,1:2", "")] == [("*",), ("0:1", "1:2"), ()]


@given(st.lists(st.text("abcdefgh.:*", min_size=1)))
def test_lists_survive_being_shown(elements: list[str]) -> None:
    assert split_list(show(tuple(elements)) or "") == tuple(elements)


@given(st.one_of(st.booleans(), st.integers(-(2**31), 2**31 - 1)))
def test_values_survive_being_shown(value: bool | int) -> None:
    kind = ConfigType.BOOLEAN if isinstance(value, bool) else ConfigType.INT
    assert key(kind).parse(show(value) or "") == value
