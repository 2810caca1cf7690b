"""How a key or value of an internal topic lies in bytes: an int16 version, then the message in that version.

For keys the version is the type of the record. Source: Kafka's `CoordinatorRecordSerde`, 4.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mainstem.wire.compile import MalformedMessage, decoder, encoder
from mainstem.wire.schema import Message

_VERSION = struct.Struct(">h")


@dataclass(frozen=True, slots=True)
class StoredSchema:
    """`flexible_from` is the first version with compact encodings (KIP-482), None if there is none."""

    message: type[Message]
    versions: tuple[int, int]
    flexible_from: int | None

    def is_flexible(self, version: int) -> bool:
        return self.flexible_from is not None and version >= self.flexible_from


def read_version(data: bytes) -> int:
    """Raises: MalformedMessage if fewer than two bytes are there."""
    if len(data) < _VERSION.size:
        raise MalformedMessage(f"a stored record of {len(data)} bytes has no version")
    return int(_VERSION.unpack_from(data)[0])


def encode(schema: StoredSchema, version: int, message: Message) -> bytes:
    first, last = schema.versions
    assert first <= version <= last, f"{schema.message.__name__} has no version {version}"
    out = bytearray(_VERSION.pack(version))
    encoder(schema.message, version, schema.is_flexible(version))(message, out)
    return bytes(out)


def decode(schema: StoredSchema, data: bytes) -> Message:
    """Raises: MalformedMessage, naming the message, for unknown versions and for bytes that are cut off or
    left over."""
    name = schema.message.__name__
    version = read_version(data)
    first, last = schema.versions
    if not first <= version <= last:
        raise MalformedMessage(f"{name} version {version} is not within {first}-{last}")
    try:
        message, end = decoder(schema.message, version, schema.is_flexible(version))(memoryview(data), _VERSION.size)
    except MalformedMessage as error:
        raise MalformedMessage(f"{name} v{version}: {error}") from None
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"{name} v{version} is cut off or garbled: {error}") from None
    if end != len(data):
        raise MalformedMessage(f"{name} v{version} leaves {len(data) - end} bytes over")
    return message
