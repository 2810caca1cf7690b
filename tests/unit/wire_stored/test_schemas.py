"""The JSON schemas that ship with the project and the Python tables that the code runs on say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mainstem.wire.compile import message_class
from mainstem.wire.schema import Field, Message
from mainstem.wire.stored import consumer_group, group_metadata, offset_commit, transaction_log
from mainstem.wire.stored.layout import StoredSchema

SCHEMAS = Path(__file__).parents[3] / "schemas" / "records"
TABLES: dict[str, StoredSchema] = {
    "OffsetCommitKey": offset_commit.KEY,
    "OffsetCommitValue": offset_commit.VALUE,
    "GroupMetadataKey": group_metadata.KEY,
    "GroupMetadataValue": group_metadata.VALUE,
    "TransactionLogKey": transaction_log.KEY,
    "TransactionLogValue": transaction_log.VALUE,
} | {found.message.__name__: found for found in vars(consumer_group).values() if isinstance(found, StoredSchema)}
DEFAULTS: dict[str, Any] = {
    "string": "",
    "bytes": b"",
    "int8": 0,
    "int16": 0,
    "int32": 0,
    "int64": 0,
    "uuid": bytes(16),
}


def load(name: str) -> dict[str, Any]:
    text = (SCHEMAS / f"{name}.json").read_text()
    loaded: dict[str, Any] = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
    return loaded


def versions(text: str | None, valid: tuple[int, int]) -> tuple[int, int] | None:
    if text is None or text == "none":
        return None
    first, separator, last = text.replace("+", "-").partition("-")
    end = valid[1] if separator and not last else int(last or first)
    return max(int(first), valid[0]), min(end, valid[1])


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def expected_field(field: dict[str, Any], valid: tuple[int, int]) -> Field:
    span = versions(field["versions"], valid)
    assert span is not None
    nullable = versions(field.get("nullableVersions"), valid)
    return Field(snake(field["name"]), field["type"], span[0], span[1], nullable, field.get("tag"))


def expected_default(field: dict[str, Any]) -> Any:
    default = field.get("default")
    if field["type"].startswith("[]"):
        return ()
    if default == "null" or (default is None and "nullableVersions" in field):
        return None
    return DEFAULTS[field["type"]] if default is None else int(default)


def assert_same(message: type[Message], fields: list[dict[str, Any]], valid: tuple[int, int]) -> None:
    assert message.layout == tuple(expected_field(f, valid) for f in fields)
    empty = message()
    for field in fields:
        assert getattr(empty, snake(field["name"])) == expected_default(field), field["name"]


@pytest.mark.parametrize("name", TABLES)
def test_json_and_python_say_the_same(name: str) -> None:
    document, table = load(name), TABLES[name]
    valid = versions(document["validVersions"], (0, 99))
    flexible = versions(document["flexibleVersions"], (0, 99))
    assert document["name"] == table.message.__name__ == name
    assert table.versions == valid
    assert valid is not None
    assert table.flexible_from == (flexible[0] if flexible else None)
    assert_same(table.message, document["fields"], valid)
    assert_parts_same(table, document["fields"], valid)


def assert_parts_same(table: StoredSchema, fields: list[dict[str, Any]], valid: tuple[int, int]) -> None:
    for field in fields:
        if "fields" in field:
            part = message_class(table.message, field["type"].removeprefix("[]"))
            assert_same(part, field["fields"], valid)
            assert_parts_same(table, field["fields"], valid)


def test_every_schema_that_ships_for_groups_is_compared() -> None:
    shipped = {p.stem for p in SCHEMAS.glob("*.json")}
    assert set(TABLES) <= shipped
    kinds = ("OffsetCommit", "GroupMetadata", "ConsumerGroup", "TransactionLog")
    assert {n for n in shipped if n.startswith(kinds)} == set(TABLES)


def test_fields_of_nested_messages_are_explained() -> None:
    def walk(fields: list[dict[str, Any]]) -> list[str]:
        return [f["name"] for f in fields if not f.get("about")] + [
            n for f in fields for n in walk(f.get("fields", []))
        ]

    assert [(name, walk(load(name)["fields"])) for name in TABLES if walk(load(name)["fields"])] == []
