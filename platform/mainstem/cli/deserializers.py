"""Keys and values as text, by the class names of Kafka's own deserializers."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable

from mainstem.model.configs.nearest import suggestion
from mainstem.model.errors import ConfigError, MainstemError

Deserialize = Callable[[bytes], bytes]


class DeserializeError(MainstemError):
    """Bytes that are not what the deserializer expects."""


def deserializer(key: str, name: str) -> Deserialize:
    """By class name, with or without its package; without a name the bytes are shown as they are.

    Raises: ConfigError.
    """
    if not name:
        return _as_is
    short = name.rpartition(".")[2]
    if short not in _DESERIALIZERS:
        allowed = ", ".join(_DESERIALIZERS)
        raise ConfigError(key, name, f"one of {allowed}{suggestion(short, _DESERIALIZERS)}")
    return _DESERIALIZERS[short]


def _as_is(value: bytes) -> bytes:
    return value


def _number(form: str, what: str) -> Deserialize:
    """Big-endian, as Java writes them."""
    reader = struct.Struct(form)

    def deserialize(value: bytes) -> bytes:
        if len(value) != reader.size:
            raise DeserializeError(f"{len(value)} bytes are not {what}, which has {reader.size}")
        return str(reader.unpack(value)[0]).encode()

    return deserialize


def _uuid(value: bytes) -> bytes:
    try:
        return str(uuid.UUID(value.decode("ascii"))).encode()
    except ValueError:
        raise DeserializeError(f"{value!r} is not a UUID") from None


def _boolean(value: bytes) -> bytes:
    if value not in (b"\0", b"\1"):
        raise DeserializeError(f"{value!r} is not a boolean, which is one byte of 0 or 1")
    return b"true" if value == b"\1" else b"false"


_DESERIALIZERS: dict[str, Deserialize] = {
    "StringDeserializer": _as_is,
    "ByteArrayDeserializer": _as_is,
    "BytesDeserializer": _as_is,
    "LongDeserializer": _number(">q", "a long"),
    "IntegerDeserializer": _number(">i", "an integer"),
    "ShortDeserializer": _number(">h", "a short"),
    "DoubleDeserializer": _number(">d", "a double"),
    "FloatDeserializer": _number(">f", "a float"),
    "BooleanDeserializer": _boolean,
    "UUIDDeserializer": _uuid,
}
