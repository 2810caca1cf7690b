"""mainstem's serializers as Faust codecs: `value_serializer="mainstem_json"`, by the entry point `faust.codecs`.

A serializer that needs settings, such as Avro's schema, is made with `codec("avro", schema=...)`.
"""

from __future__ import annotations

from typing import Any

from faust.serializers.codecs import Codec

from mainstem.api.serde import Serializer, SerializerSpec
from mainstem.api.spec import configure


class SerializerCodec(Codec):
    """One value at a time, because Faust asks for one. The plugin is looked up at the first value: Faust makes all installed codecs
    for every app. Raises: SerdeError."""

    name = ""

    def __init__(self, children: Any = None, *, serializer: Serializer | None = None) -> None:
        super().__init__(children, serializer=serializer)
        self._serializer = serializer

    @property
    def serializer(self) -> Serializer:
        if self._serializer is None:
            self._serializer = opened(self.name, {})
        return self._serializer

    def _dumps(self, s: Any) -> Any:
        return self.serializer.dumps_many([s])[0]

    def _loads(self, s: bytes) -> Any:
        return self.serializer.loads_many([s])[0]


class JsonCodec(SerializerCodec):
    name = "json"


class StringCodec(SerializerCodec):
    name = "string"


def codec(name: str, **settings: Any) -> SerializerCodec:
    """A plugin's serializer: `app.topic("orders", value_serializer=codec("avro", schema="order.avsc"))`.

    Raises: ConfigError for its settings, PluginError if no plugin has that name.
    """
    return SerializerCodec(serializer=opened(name, settings))


def opened(name: str, settings: dict[str, Any]) -> Serializer:
    """Raises: as `codec`."""
    # Only now: Faust loads this module for every app.
    from mainstem.app.plugins import PluginManager

    spec = PluginManager().find(SerializerSpec, name)
    return spec.open(configure(spec.config, settings, owner=f"serializer {name}"))
