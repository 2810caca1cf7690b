"""Keys and values to bytes without five calls for each, where a channel uses Faust's own schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faust.channels import SerializedChannel
from faust.serializers.schemas import Schema
from faust.utils import json as faust_json

from mainstem.faust.decoding import is_fausts, is_plain_json

# Everything else (models above all) takes Faust's own way.
PLAIN = frozenset({dict, str, int, float, list, bool, tuple})

Dump = Callable[[Any], bytes | None]


class Encoder:
    """`key` and `value` turn what the channel's types say into bytes."""

    __slots__ = ("key", "value")

    def __init__(self, key: Dump, value: Dump) -> None:
        self.key = key
        self.value = value


def compile_encoder(channel: Any, key_serializer: Any, value_serializer: Any) -> Encoder | None:
    """None where somebody's own schema, serializer registry or channel encodes: then `prepare_key` and `prepare_value` do."""
    own = type(channel)
    if (
        own.prepare_key is not SerializedChannel.prepare_key
        or own.prepare_value is not SerializedChannel.prepare_value
        or not _is_fausts(channel, "key")
        or not _is_fausts(channel, "value")
    ):
        return None
    key = _dumper(channel, "key", key_serializer, none=None)
    return Encoder(key, _dumper(channel, "value", value_serializer, none=b"null"))


def _is_fausts(channel: Any, part: str) -> bool:
    schema, hook = channel.schema, f"on_dumps_{part}_prepare_headers"
    has_own_hook = getattr(type(schema), hook) is not getattr(Schema, hook)
    return is_fausts(schema, channel.app.serializers, f"dumps_{part}") and not has_own_hook


def _dumper(channel: Any, part: str, serializer: Any, *, none: bytes | None) -> Dump:
    """`part` is key or value; `none` is what Faust's JSON makes of None there."""
    schema, registry = channel.schema, channel.app.serializers
    given, kind = f"{part}_serializer", getattr(schema, f"{part}_type")
    dumps = getattr(registry, f"dumps_{part}")

    def dump(value: Any) -> bytes | None:
        return dumps(kind, value, serializer=serializer or getattr(schema, given))  # type: ignore[no-any-return]

    is_json = is_plain_json(serializer or getattr(schema, given) or getattr(registry, given))
    return _json(dump, none=none) if is_json else dump


def _json(other: Dump, *, none: bytes | None) -> Dump:
    dumps: Callable[[Any], Any] = faust_json.dumps

    def dump(value: Any) -> bytes | None:
        if type(value) in PLAIN:
            made = dumps(value)
            return made if type(made) is bytes else made.encode()
        return none if value is None else other(value)

    return dump
