"""Serializer `msgpack`: any value that JSON could hold, and bytes, in fewer bytes."""

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstem.api.hookspecs import hookimpl
from mainstem.api.serde import SerializerSpec, each
from mainstem.api.spec import PluginConfig


class MsgpackSerializer:
    def __init__(self, config: PluginConfig) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode

    def dumps_many(self, values: Sequence[Any]) -> list[bytes | None]:
        return each(self._encode, values, (TypeError, ValueError, OverflowError))

    def loads_many(self, data: Sequence[bytes | None]) -> list[Any]:
        return each(self._decode, data, (msgspec.DecodeError,))


@hookimpl
def mainstem_register_serializers() -> list[SerializerSpec]:
    return [SerializerSpec(name="msgpack", content_type="application/vnd.msgpack", open=MsgpackSerializer)]
