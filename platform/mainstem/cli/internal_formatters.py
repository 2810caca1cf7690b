"""Formatters of `console-consumer` for the broker's own topics: a record as one JSON object, as Kafka 4.1's print it."""

from __future__ import annotations

import json
from collections.abc import Callable

from mainstem.cli.dump_offsets import OFFSETS, TRANSACTIONS, Schemas, as_json
from mainstem.client.consumer import Consumed
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.stored.layout import StoredSchema, decode, read_version

FORMATTERS: dict[str, tuple[Schemas, frozenset[int]]] = {
    "OffsetsMessageFormatter": (OFFSETS, frozenset({0, 1})),
    "GroupMetadataMessageFormatter": (OFFSETS, frozenset({2})),
    "TransactionLogMessageFormatter": (TRANSACTIONS, frozenset({0})),
}
"""What each one knows, and which types of record it prints; others are passed over."""


def formatter(name: str) -> Callable[[Consumed], bytes]:
    """`name` is one of FORMATTERS. There is nothing between the objects, as with Kafka's."""
    schemas, types = FORMATTERS[name]

    def line(record: Consumed) -> bytes:
        if record.key is None:
            return b""
        try:
            kind = read_version(record.key)
            if kind not in types:
                return b""
            key_schema, value_schema = schemas[kind]
            document = {
                "key": _part("type", key_schema, record.key),
                "value": None if record.value is None else _part("version", value_schema, record.value),
            }
        except MalformedMessage:
            return b""
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    return line


def _part(label: str, schema: StoredSchema, data: bytes) -> dict[str, object]:
    version = read_version(data)
    return {label: version, "data": as_json(decode(schema, data), version)}
