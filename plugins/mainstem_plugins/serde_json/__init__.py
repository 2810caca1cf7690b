"""Serializer `json`: orjson, with datetimes, UUIDs and dataclasses as orjson writes them, and msgspec Structs
as objects.

JSON has no NaN and no infinity: both become null. Bytes and sets have no form in JSON and are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import orjson

from mainstem.api.hookspecs import hookimpl
from mainstem.api.serde import SerializerSpec, each
from mainstem.api.spec import PluginConfig


class JsonConfig(PluginConfig, frozen=True, kw_only=True):
    sort_keys: bool = False


class JsonSerializer:
    def __init__(self, config: JsonConfig) -> None:
        option = orjson.OPT_SORT_KEYS if config.sort_keys else 0
        self._dumps = partial(orjson.dumps, default=_fields_of, option=option)

    def dumps_many(self, values: Sequence[Any]) -> list[bytes | None]:
        return each(self._dumps, values, (orjson.JSONEncodeError,))

    def loads_many(self, data: Sequence[bytes | None]) -> list[Any]:
        return each(orjson.loads, data, (orjson.JSONDecodeError,))


def _fields_of(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


@hookimpl
def mainstem_register_serializers() -> list[SerializerSpec]:
    return [SerializerSpec(name="json", content_type="application/json", open=JsonSerializer, config=JsonConfig)]
