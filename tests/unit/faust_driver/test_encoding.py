"""Our way of encoding and decoding gives what Faust's gives, for each kind of topic."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.serializers.schemas import Schema

from mainstem.faust.decoding import compile_decoder
from mainstem.faust.encoding import compile_encoder


class Point(faust.Record, serializer="json"):
    x: int


class OwnSchema(Schema):  # type: ignore[type-arg]
    def dumps_value(self, *args: Any, **kwargs: Any) -> Any:
        return super().dumps_value(*args, **kwargs)


KINDS: list[dict[str, Any]] = [
    {},
    {"value_serializer": "json"},
    {"key_serializer": "json", "value_serializer": "json"},
    {"key_type": str, "value_type": str},
    {"key_type": bytes, "value_type": bytes},
    {"key_type": str, "value_type": Point},
    {"key_type": Point, "value_type": int, "value_serializer": "json"},
    {"value_serializer": "raw"},
]
VALUES: list[Any] = [None, "text", "ünï", b"bytes", 7, 2.5, True, [1, "two"], {"a": {"b": None}}, (1, 2), Point(x=3)]


def outcome(call: Any) -> Any:
    """What comes out, or the kind of error."""
    try:
        return call()
    except Exception as error:
        return type(error)


def topic_of(kind: dict[str, Any], **more: Any) -> Any:
    app = faust.App("codecs", broker="memory://codecs", web_enabled=False)
    return app.topic("t", **kind, **more)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_encoding_is_fausts(kind: dict[str, Any], value: Any) -> None:
    topic = topic_of(kind)
    encoder = compile_encoder(topic, topic.key_serializer, topic.value_serializer)
    assert encoder is not None
    assert outcome(lambda: encoder.key(value)) == outcome(lambda: topic.prepare_key(value, None, None, {})[0])
    assert outcome(lambda: encoder.value(value)) == outcome(lambda: topic.prepare_value(value, None, None, {})[0])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("data", [None, b"", b"{", b"7", b'"text"', b"[1]", b'{"x": 3}', b"\xff"], ids=repr)
def test_decoding_is_fausts(kind: dict[str, Any], data: bytes | None) -> None:
    topic = topic_of(kind)
    decoder = compile_decoder(topic)
    assert decoder is not None
    message = SimpleNamespace(key=data, value=data)
    assert outcome(lambda: decoder.key(data, message)) == outcome(lambda: topic.schema.loads_key(topic.app, message))
    assert outcome(lambda: decoder.value(data, message)) == outcome(
        lambda: topic.schema.loads_value(topic.app, message)
    )


def test_somebodys_own_schema_is_asked() -> None:
    topic = topic_of({}, schema=OwnSchema())
    assert compile_encoder(topic, None, None) is None
