"""Whole messages: bytes <-> (header, version-neutral message). Sans-IO; Produce and Fetch have their own codec in `wire.hot`."""

from __future__ import annotations

import struct
from functools import cache
from importlib import import_module
from typing import NamedTuple

from mainstem.wire.apis import ApiKey
from mainstem.wire.compile import MalformedMessage, decoder, encoder, read_uvarint, take
from mainstem.wire.schema import Message, Schema

_HEADER = struct.Struct(">hhih")
_INT32 = struct.Struct(">i")


class RequestHeader(NamedTuple):
    """Request header v1 and v2 (v0 died with ControlledShutdown 0). `body` is where the request itself starts."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body: int


@cache
def request_schema(api: ApiKey) -> Schema:
    schema: Schema = import_module(f"mainstem.wire.messages.{api.name.lower()}").REQUEST
    return schema


@cache
def response_schema(api: ApiKey) -> Schema:
    schema: Schema = import_module(f"mainstem.wire.messages.{api.name.lower()}").RESPONSE
    return schema


def decode_header(frame: memoryview, flexible_from: int) -> RequestHeader:
    """Read a request header; `client_id` keeps its two-byte length in every version, tags follow in flexible ones.

    Raises: MalformedMessage.
    """
    try:
        api_key, version, correlation_id, size = _HEADER.unpack_from(frame, 0)
        position = _HEADER.size
        client_id = None
        if size >= 0:
            client_id = str(take(frame, position, size, "client_id"), "utf-8")
            position += size
        if version >= flexible_from:
            position = skip_tags(frame, position)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"request header: {error}") from None
    return RequestHeader(api_key, version, correlation_id, client_id, position)


def skip_tags(buffer: memoryview, position: int) -> int:
    count, position = read_uvarint(buffer, position)
    for _ in range(min(count, len(buffer))):
        _, position = read_uvarint(buffer, position)
        size, position = read_uvarint(buffer, position)
        take(buffer, position, size, "tagged field")
        position += size
    return position


def decode(schema: Schema, version: int, buffer: memoryview, position: int = 0) -> Message:
    """Bytes after the message are ignored, as Apache Kafka does.

    Raises: MalformedMessage, naming the message and, where known, the field.
    """
    name = schema.message.__name__
    try:
        message, _ = decoder(schema.message, version, version >= schema.flexible_from)(buffer, position)
    except MalformedMessage as error:
        raise MalformedMessage(f"{name} v{version}: {error}") from None
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise MalformedMessage(f"{name} v{version} is cut off or garbled: {error}") from None
    return message


def encode(schema: Schema, version: int, message: Message) -> bytes:
    out = bytearray()
    encoder(schema.message, version, version >= schema.flexible_from)(message, out)
    return bytes(out)


def encode_response(api: ApiKey, version: int, correlation_id: int, message: Message) -> bytes:
    """A whole reply frame: length, header v0 or v1, body. ApiVersions always has header v0 (KIP-511)."""
    schema = response_schema(api)
    flexible = version >= schema.flexible_from
    out = bytearray(8)
    if flexible and api is not ApiKey.API_VERSIONS:
        out.append(0)
    encoder(schema.message, version, flexible)(message, out)
    _INT32.pack_into(out, 0, len(out) - 4)
    _INT32.pack_into(out, 4, correlation_id)
    return bytes(out)
