from __future__ import annotations

import struct
import uuid

import pytest

from mainstem.cli.deserializers import DeserializeError, deserializer
from mainstem.model.errors import ConfigError

ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("", b"\xff\x00", b"\xff\x00"),
        ("StringDeserializer", b"abc", b"abc"),
        ("ByteArrayDeserializer", b"\xff", b"\xff"),
        ("LongDeserializer", struct.pack(">q", -2), b"-2"),
        ("IntegerDeserializer", struct.pack(">i", 7), b"7"),
        ("ShortDeserializer", struct.pack(">h", -1), b"-1"),
        ("DoubleDeserializer", struct.pack(">d", 1.5), b"1.5"),
        ("FloatDeserializer", struct.pack(">f", 0.25), b"0.25"),
        ("BooleanDeserializer", b"\1", b"true"),
        ("BooleanDeserializer", b"\0", b"false"),
        ("UUIDDeserializer", str(ID).encode(), str(ID).encode()),
    ],
)
def test_bytes_become_text(name: str, value: bytes, text: bytes) -> None:
    assert deserializer("value.deserializer", name)(value) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LongDeserializer", b"1234"),
        ("LongDeserializer", b""),
        ("IntegerDeserializer", b"12345"),
        ("BooleanDeserializer", b"\2"),
        ("BooleanDeserializer", b""),
        ("UUIDDeserializer", b"not one"),
        ("UUIDDeserializer", b"\xff"),
    ],
)
def test_bytes_of_another_kind_are_refused(name: str, value: bytes) -> None:
    with pytest.raises(DeserializeError):
        deserializer("value.deserializer", name)(value)


def test_an_unknown_class_is_refused_with_the_near_one() -> None:
    with pytest.raises(ConfigError, match=r"did you mean LongDeserializer\?"):
        deserializer("key.deserializer", "org.example.LongDeserialiser")
