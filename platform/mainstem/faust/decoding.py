"""Bytes to keys and values without a coroutine per record, where a channel uses Faust's own schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from faust.channels import SerializedChannel
from faust.exceptions import KeyDecodeError, ValueDecodeError
from faust.models.base import Model
from faust.serializers import codecs
from faust.serializers.registry import Registry
from faust.serializers.schemas import Schema
from faust.topics import Topic

MODEL_KEY = "__faust"

Load = Callable[[bytes | None, Any], Any]
"""From bytes and the message. Raises: KeyDecodeError, ValueDecodeError."""


class Decoder:
    """`key` and `value` turn bytes into what the channel's types say. `allow_empty`: a missing value stays None."""

    __slots__ = ("allow_empty", "key", "value")

    def __init__(self, key: Load, value: Load, *, allow_empty: bool) -> None:
        self.key = key
        self.value = value
        self.allow_empty = allow_empty


def compile_decoder(channel: Any) -> Decoder | None:
    """None where somebody's own schema, serializer registry or channel decodes: then `channel.decode` must be awaited."""
    app, schema = channel.app, channel.schema
    is_own = (
        not isinstance(channel, SerializedChannel)
        or getattr(type(channel), "_compile_decode", None) is not Topic._compile_decode
        or type(schema).compile is not Schema.compile
        or not isinstance(app.serializers, Registry)
    )
    if is_own:
        return None
    key, value = _loader(channel, "key", KeyDecodeError), _loader(channel, "value", ValueDecodeError)
    return Decoder(key, value, allow_empty=bool(schema.allow_empty))


def _loader(channel: Any, part: str, error: type[Exception]) -> Load:
    """`part` is key or value."""
    app, schema, registry = channel.app, channel.schema, channel.app.serializers
    if not is_fausts(schema, registry, f"loads_{part}"):
        of_schema, of_registry = getattr(schema, f"loads_{part}"), getattr(registry, f"loads_{part}")
        return lambda data, message: of_schema(app, message, loads=of_registry)
    given, kind = f"{part}_serializer", getattr(schema, f"{part}_type")
    if is_plain_json(getattr(schema, given) or getattr(registry, given)):
        if kind is None:
            return _json(error)
        if kind in (int, float, str) and type(registry)._prepare_payload is Registry._prepare_payload:
            return _json_of(kind, error, registry)
    loads = getattr(registry, f"loads_{part}")
    return lambda data, message: loads(kind, data, serializer=getattr(schema, given))


def is_fausts(schema: Any, registry: Any, name: str) -> bool:
    """Neither the app's schema nor its registry has a method of its own there."""
    own = getattr(type(schema), name) is getattr(Schema, name)
    return own and getattr(type(registry), name) is getattr(Registry, name)


def is_plain_json(serializer: Any) -> bool:
    """Faust's own JSON, which nobody has replaced."""
    return serializer == "json" and type(codecs.get_codec("json")) is codecs.json


def _json_of(kind: type, error: type[Exception], registry: Any) -> Load:
    """JSON of a plain type; what is of another one is converted, or refused, as Faust does."""
    loads = orjson.loads

    def load(data: bytes | None, message: Any) -> Any:
        if data is None:
            return None
        try:
            value = loads(data)
            return value if type(value) is kind else registry._prepare_payload(kind, value)
        except MemoryError:
            raise
        except Exception as trouble:  # what Faust's conversions raise
            raise error(str(trouble)) from trouble

    return load


def _json(error: type[Exception]) -> Load:
    """Untyped JSON; a dict that names a model becomes one."""
    loads = orjson.loads

    def load(data: bytes | None, message: Any) -> Any:
        if data is None:
            return None
        try:
            value = loads(data)
        except ValueError as trouble:
            raise error(str(trouble)) from trouble
        return Model._maybe_reconstruct(value) if type(value) is dict and MODEL_KEY in value else value

    return load
