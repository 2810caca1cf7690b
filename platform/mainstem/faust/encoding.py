"""Keys and values to bytes without five calls for each, where a channel uses Faust's own schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faust.serializers.registry import Registry
from faust.serializers.schemas import Schema
from faust.utils import json as faust_json

from mainstem.faust.decoding import is_plain_json

# Everything else (models above all) takes Faust's own way.
PLAIN = frozenset({dict, str, int, float, list, bool, tuple})

Dump = Callable[[Any], bytes | None]


def compile_key(channel: Any, serializer: Any) -> Dump | None:
    """None where somebody's own schema or registry has a say."""
    registry, schema = channel.app.serializers, channel.schema
    if not _is_own(schema, registry, "dumps_key") or type(schema).on_dumps_key_prepare_headers is not KEY_HEADERS:
        return None
    chosen = serializer or schema.key_serializer or registry.key_serializer
    if is_plain_json(chosen):
        return _json(lambda key: registry.dumps_key(schema.key_type, key, serializer=chosen), none=None)
    key_type = schema.key_type

    def dump(key: Any) -> bytes | None:
        if key is None or (type(key) is bytes):
            return key
        return registry.dumps_key(key_type, key, serializer=serializer or schema.key_serializer)  # type: ignore[no-any-return]

    return dump


def compile_value(channel: Any, serializer: Any) -> Dump | None:
    """None where somebody's own schema or registry has a say."""
    registry, schema = channel.app.serializers, channel.schema
    if not _is_own(schema, registry, "dumps_value") or type(schema).on_dumps_value_prepare_headers is not VALUE_HEADERS:
        return None
    chosen = serializer or schema.value_serializer or registry.value_serializer
    if is_plain_json(chosen) and schema.value_type not in (str, bytes):
        return _json(lambda value: registry.dumps_value(schema.value_type, value, serializer=chosen), none=b"null")
    value_type = schema.value_type
    return lambda value: registry.dumps_value(value_type, value, serializer=serializer or schema.value_serializer)


KEY_HEADERS = Schema.on_dumps_key_prepare_headers
VALUE_HEADERS = Schema.on_dumps_value_prepare_headers


def _is_own(schema: Any, registry: Any, name: str) -> bool:
    return getattr(type(schema), name) is getattr(Schema, name) and getattr(type(registry), name) is getattr(
        Registry, name
    )


def _json(other: Dump, *, none: bytes | None) -> Dump:
    dumps: Callable[[Any], Any] = faust_json.dumps

    def dump(value: Any) -> bytes | None:
        if type(value) in PLAIN:
            made = dumps(value)
            return made if type(made) is bytes else made.encode()
        return none if value is None else other(value)

    return dump
