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
    return Decoder(_key(app, schema), _value(app, schema), allow_empty=bool(schema.allow_empty))


def _key(app: Any, schema: Any) -> Load:
    registry = app.serializers
    if type(schema).loads_key is Schema.loads_key and type(registry).loads_key is Registry.loads_key:
        serializer = schema.key_serializer or registry.key_serializer
        if schema.key_type is None and is_plain_json(serializer):
            return _json(KeyDecodeError)
        key_type = schema.key_type

        def load(data: bytes | None, message: Any) -> Any:
            return registry.loads_key(key_type, data, serializer=schema.key_serializer)

        return load
    return lambda data, message: schema.loads_key(app, message, loads=registry.loads_key)


def _value(app: Any, schema: Any) -> Load:
    registry = app.serializers
    if type(schema).loads_value is Schema.loads_value and type(registry).loads_value is Registry.loads_value:
        serializer = schema.value_serializer or registry.value_serializer
        if schema.value_type is None and is_plain_json(serializer):
            return _json(ValueDecodeError)
        value_type = schema.value_type

        def load(data: bytes | None, message: Any) -> Any:
            return registry.loads_value(value_type, data, serializer=schema.value_serializer)

        return load
    return lambda data, message: schema.loads_value(app, message, loads=registry.loads_value)


def is_plain_json(serializer: Any) -> bool:
    """Faust's own JSON, which nobody has replaced."""
    return serializer == "json" and type(codecs.get_codec("json")) is codecs.json


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
