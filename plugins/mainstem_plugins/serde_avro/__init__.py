"""Serializer `avro`: one schema for all values, binary encoding without any framing (no schema id in front).

The schema is a path to an .avsc file, JSON text, or a dict. It is checked by Apache's `avro`, whose texts say
what is
wrong with it; values go through `fastavro`, which is compiled.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mainstem.api.hookspecs import hookimpl
from mainstem.api.serde import SerializerSpec, each
from mainstem.api.spec import PluginConfig
from mainstem.model.errors import ConfigError

# What fastavro raises for bytes that another schema wrote, or that are cut off.
UNREADABLE = (
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
)
UNFIT = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error)


class AvroConfig(PluginConfig, frozen=True, kw_only=True):
    """`schema`: a path, JSON text (it begins with `{`, `[` or a quote), or a dict."""

    schema: str | dict[str, Any] | list[Any]


class AvroSerializer:
    """Writing refuses fields that the schema does not have; missing ones need a default."""

    def __init__(self, config: AvroConfig) -> None:
        import fastavro
        import fastavro.validation

        self._schema = fastavro.parse_schema(_checked_schema(config.schema))
        self._write = fastavro.schemaless_writer
        self._read = fastavro.schemaless_reader
        self._validation = fastavro.validation

    def dumps_many(self, values: Sequence[Any]) -> list[bytes | None]:
        return each(self._dumps, values, UNFIT)

    def loads_many(self, data: Sequence[bytes | None]) -> list[Any]:
        return each(self._loads, data, UNREADABLE)

    def _dumps(self, value: Any) -> bytes:
        buffer = io.BytesIO()
        try:
            self._write(buffer, self._schema, value, strict_allow_default=True)
        except UNFIT as error:
            raise ValueError(self._misfit(value) or f"{type(error).__name__}: {error}") from error
        return buffer.getvalue()

    def _misfit(self, value: Any) -> str:
        """Which field does not fit, or nothing: the validator knows it, the writer only that one did not."""
        try:
            self._validation.validate(value, self._schema)
        except self._validation.ValidationError as misfit:
            return "; ".join(str(error) for error in misfit.errors)
        return ""

    def _loads(self, data: bytes) -> Any:
        buffer = io.BytesIO(data)
        value = self._read(buffer, self._schema, None)
        if buffer.tell() != len(data):
            unread = len(data) - buffer.tell()
            raise ValueError(f"{unread} of {len(data)} bytes are left over: another schema wrote them")
        return value


def _checked_schema(schema: str | dict[str, Any] | list[Any]) -> Any:
    """Raises: ConfigError."""
    import avro.errors
    import avro.schema

    try:
        if not isinstance(schema, str):
            text = json.dumps(schema)
        elif schema.lstrip()[:1] in ("{", "[", '"'):
            text = schema
        else:
            text = Path(schema).read_text(encoding="utf-8")
        avro.schema.parse(text)
    except OSError as error:
        allowed = f"a path to an Avro schema that can be read ({error.strerror})"
        raise ConfigError("schema", schema, allowed) from None
    except (avro.errors.AvroException, ValueError, TypeError, AttributeError) as error:
        raise ConfigError("schema", schema, f"an Avro schema ({type(error).__name__}: {error})") from None
    return json.loads(text)


@hookimpl
def mainstem_register_serializers() -> list[SerializerSpec]:
    return [SerializerSpec(name="avro", content_type="avro/binary", open=AvroSerializer, config=AvroConfig)]
