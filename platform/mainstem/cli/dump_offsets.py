"""Records of internal topics as JSON, as Kafka's `--offsets-decoder` and `--transaction-log-decoder` print them.

Known are committed offsets, classic and consumer groups, and transactions; records of other group types are named by their type.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping

from mainstem.model.ids import topic_id_text
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.schema import Field, Message
from mainstem.wire.stored import consumer_group, group_metadata, offset_commit, transaction_log
from mainstem.wire.stored.layout import StoredSchema, decode, read_version

OFFSETS = {
    0: (offset_commit.KEY, offset_commit.VALUE),
    1: (offset_commit.KEY, offset_commit.VALUE),
    2: (group_metadata.KEY, group_metadata.VALUE),
    3: (consumer_group.GROUP_KEY, consumer_group.GROUP_VALUE),
    4: (consumer_group.TOPICS_KEY, consumer_group.TOPICS_VALUE),
    5: (consumer_group.MEMBER_KEY, consumer_group.MEMBER_VALUE),
    6: (consumer_group.TARGET_EPOCH_KEY, consumer_group.TARGET_EPOCH_VALUE),
    7: (consumer_group.TARGET_KEY, consumer_group.TARGET_VALUE),
    8: (consumer_group.CURRENT_KEY, consumer_group.CURRENT_VALUE),
    16: (consumer_group.REGEX_KEY, consumer_group.REGEX_VALUE),
}
TRANSACTIONS = {0: (transaction_log.KEY, transaction_log.VALUE)}
Schemas = Mapping[int, tuple[StoredSchema, StoredSchema]]
TOMBSTONE = "<DELETE>"


def decoded_contents(schemas: Schemas, key: bytes | None, value: bytes | None) -> dict[str, object]:
    if key is None:
        return {"key": "Failed to decode message: it has no key"}
    try:
        kind = read_version(key)
        if kind not in schemas:
            return {"key": f"Unknown record type {kind}, skipping."}
        key_schema, value_schema = schemas[kind]
        found: dict[str, object] = {"key": _text("type", key_schema, key)}
        found["payload"] = TOMBSTONE if value is None else _text("version", value_schema, value)
    except MalformedMessage as error:
        return {"key": f"Failed to decode message: {error}"}
    return found


def _text(label: str, schema: StoredSchema, data: bytes) -> str:
    version = read_version(data)
    fields = as_json(decode(schema, data), version)
    if fields.get("protocolType") == "consumer":
        fields["members"] = [_with_consumer_protocol(member) for member in _list(fields["members"])]
    return json.dumps({label: str(version), "data": fields}, separators=(",", ":"), ensure_ascii=False)


def _list(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def as_json(message: Message, version: int) -> dict[str, object]:
    """Fields of that version under Kafka's names, bytes as base64; tagged ones only if they say something."""
    found: dict[str, object] = {}
    for field in message.layout:
        value = getattr(message, field.name)
        if not field.travels_in(version) or (field.tag is not None and _is_left_out(message, field, value)):
            continue
        if isinstance(value, bytes):
            value = topic_id_text(value) if field.type == "uuid" else base64.b64encode(value).decode()
        elif isinstance(value, Message):
            value = as_json(value, version)
        elif field.type.startswith("[]") and value is not None:
            value = [as_json(item, version) if isinstance(item, Message) else item for item in value]
        first, *others = field.name.split("_")
        found[first + "".join(word.title() for word in others)] = value
    return found


def _is_left_out(message: Message, field: Field, value: object) -> bool:
    """A part that is null is not the default to Kafka's tool: it prints it."""
    return value is not None and value == getattr(type(message)(), field.name)


def _with_consumer_protocol(member: dict[str, object]) -> dict[str, object]:
    """Subscription and assignment of a consumer, decoded; where that fails they stay as they are."""
    decoded = dict(member)
    for name, read in (("subscription", _subscription), ("assignment", _assignment)):
        try:
            decoded[name] = read(_Reader(base64.b64decode(str(member[name]))))
        except (struct.error, UnicodeDecodeError, ValueError):
            continue
    return decoded


class _Reader:
    """Consumer-protocol messages: big-endian, int16-sized strings, int32-sized arrays and bytes, without flexible encodings."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, code: str) -> int:
        layout = struct.Struct(">" + code)
        value: int = layout.unpack_from(self._data, self._at)[0]
        self._at += layout.size
        return value

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise ValueError("cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def string(self) -> str | None:
        size = self.number("h")
        return None if size < 0 else self._take(size).decode()

    def base64(self) -> str | None:
        size = self.number("i")
        return None if size < 0 else base64.b64encode(self._take(size)).decode()

    def strings(self) -> list[str | None]:
        return [self.string() for _ in range(self.number("i"))]

    def partitions(self) -> list[dict[str, object]]:
        return [
            {"topic": self.string(), "partitions": [self.number("i") for _ in range(self.number("i"))]}
            for _ in range(self.number("i"))
        ]


def _subscription(reader: _Reader) -> dict[str, object]:
    version = reader.number("h")
    return {
        "topics": reader.strings(),
        "userData": reader.base64(),
        "ownedPartitions": reader.partitions() if version >= 1 else [],
        "generationId": reader.number("i") if version >= 2 else -1,
        "rackId": reader.string() if version >= 3 else None,
    }


def _assignment(reader: _Reader) -> dict[str, object]:
    reader.number("h")
    return {"assignedPartitions": reader.partitions(), "userData": reader.base64()}
