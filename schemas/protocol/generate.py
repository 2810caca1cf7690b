"""Write `mainstem/wire/messages/*.py`: one module per API, one class per request and response, for all versions at once.

kio publishes Apache Kafka's message schemas as one Python class per API *and version*. This script merges those
classes into one version-neutral class per message with a table that says in which versions each field travels. The
broker compiles that table (`mainstem.wire.compile`); kio stays the oracle that tests/protocol compares every byte with.

Run: python schemas/protocol/generate.py        (test_messages_are_generated fails when the output is stale)
"""

from __future__ import annotations

import datetime
import importlib
import re
import uuid
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from types import EllipsisType, NoneType, UnionType
from typing import Any, get_args, get_origin

from kio.schema.index import api_key_map, schema_name_map

TARGET = Path(__file__).resolve().parents[2] / "platform" / "mainstem" / "wire" / "messages"
# Kafka 4.1's APIs that a broker of this project serves now or will serve; raft and share-state internals stay out.
LEFT_OUT = re.compile(
    "raft|quorum|vote|snapshot|broker_(registration|heartbeat)|controller_registration|envelope|share_group_state|assign_replicas"
)
PYTHON_TYPE = {
    "int8": "int",
    "int16": "int",
    "int32": "int",
    "int64": "int",
    "uint16": "int",
    "uint32": "int",
    "float64": "float",
    "string": "str",
    "bytes": "bytes",
    "records": "bytes",
    "uuid": "bytes",
    "bool": "bool",
}
WIRE_TYPE = {
    "error_code": "int16",
    "timedelta_i32": "int32",
    "timedelta_i64": "int64",
    "datetime_i64": "int64",
}


NO_DEFAULT: Any = object()


@dataclass
class FieldRow:
    name: str
    type: str
    array: bool
    entity: EntityRow | None
    tag: int | None
    default: Any = NO_DEFAULT
    versions: set[int] = dataclass_field(default_factory=set)
    nullable: set[int] = dataclass_field(default_factory=set)


@dataclass
class EntityRow:
    name: str
    rows: list[FieldRow] = dataclass_field(default_factory=list)


def unwrap(annotation: Any) -> tuple[Any, bool, bool]:
    """(inner type, is array, is nullable)."""
    nullable = False
    if get_origin(annotation) is UnionType:
        nullable = NoneType in get_args(annotation)
        annotation = next(a for a in get_args(annotation) if a is not NoneType)
    array = get_origin(annotation) is tuple
    if array:
        annotation = next(a for a in get_args(annotation) if not isinstance(a, EllipsisType))
        if get_origin(annotation) is UnionType:
            nullable = nullable or NoneType in get_args(annotation)
            annotation = next(a for a in get_args(annotation) if a is not NoneType)
    return annotation, array, nullable


def plain_default(field: Field[Any]) -> Any:
    value = field.default
    if value is MISSING:
        return NO_DEFAULT
    if field.metadata.get("kafka_type") == "datetime_i64" and value is None:
        return -1
    if isinstance(value, datetime.timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, bool) or value is None or isinstance(value, (str, bytes)):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    return () if isinstance(value, tuple) else NO_DEFAULT


def merge(entity: EntityRow, cls: Any, version: int, shared: dict[str, EntityRow]) -> None:
    """Add one version's class. Parts of the same name within a message are one part (AddPartitionsToTxn v3 and v4)."""
    position = 0
    for field in fields(cls):
        inner, array, nullable = unwrap(field.type)
        kind = field.metadata.get("kafka_type", "")
        name = field.name + ("_ms" if kind.startswith(("timedelta", "datetime")) else "")
        index = next((i for i, row in enumerate(entity.rows) if row.name == name), None)
        if index is None:
            nested = shared.setdefault(inner.__name__, EntityRow(inner.__name__)) if is_dataclass(inner) else None
            row = FieldRow(name, WIRE_TYPE.get(kind, kind), array, nested, field.metadata.get("tag"))
            entity.rows.insert(position, row)
            index = position
        row = entity.rows[index]
        position = index + 1
        row.versions.add(version)
        if nullable and kind not in ("uuid", "datetime_i64"):
            row.nullable.add(version)
        default = plain_default(field)
        if default is not NO_DEFAULT:
            row.default = default
        if row.entity is not None:
            row.entity.name = inner.__name__
            merge(row.entity, inner, version, shared)


def span(versions: set[int], all_versions: list[int]) -> tuple[int, int]:
    low, high = min(versions), max(versions)
    assert all(v in versions for v in all_versions if low <= v <= high), "a field left and came back"
    return low, high


def annotation(row: FieldRow) -> tuple[str, str]:
    """Python annotation and default expression."""
    kind = row.entity.name if row.entity is not None else PYTHON_TYPE[row.type]
    nullable = bool(row.nullable)
    if row.array:
        default = "None" if nullable and row.default is None else "()"
        return f"Sequence[{kind}]" + (" | None" if nullable else ""), default
    if row.entity is not None:
        return (f"{kind} | None", "None") if nullable else (kind, f"{kind}()")
    if row.default is not NO_DEFAULT and not (row.default is None and not nullable):
        default = repr(row.default)
    elif nullable:
        default = "None"
    else:
        default = {"int": "0", "float": "0.0", "str": '""', "bytes": 'b""', "bool": "False"}[kind]
    if row.type == "uuid":
        default = repr(row.default) if isinstance(row.default, bytes) else "ZERO_UUID"
    return kind + (" | None" if nullable else ""), default


def emit(entity: EntityRow, versions: list[int], out: list[str], seen: dict[str, str], header: str) -> None:
    for row in entity.rows:
        if row.entity is not None:
            emit(row.entity, versions, out, seen, "")
    body = [f"class {entity.name}(Message, frozen=True, kw_only=True):"]
    if header:
        body.append(f'    """{header}"""')
        body.append("")
    lines, layout = [], []
    for row in entity.rows:
        kind, default = annotation(row)
        lines.append(f"    {row.name}: {kind} = {default}")
        low, high = span(row.versions, versions)
        null = span(row.nullable, versions) if row.nullable else None
        wire = row.entity.name if row.entity is not None else row.type
        wire = f"[]{wire}" if row.array else wire
        layout.append(f'        Field("{row.name}", "{wire}", {low}, {high}, {null}, {row.tag}),')
    body += lines or []
    body.append("")
    if layout:
        body += ["    layout: ClassVar[tuple[Field, ...]] = (", *layout, "    )"]
    else:
        body += ["    layout: ClassVar[tuple[Field, ...]] = ()"]
    text = "\n".join(body)
    if entity.name in seen:
        assert seen[entity.name] == text, f"two different messages named {entity.name}"
        return
    seen[entity.name] = text
    out.append(text)


def rename(entity: EntityRow, clash: set[str], prefix: str) -> None:
    for row in entity.rows:
        if row.entity is not None:
            if row.entity.name in clash:
                row.entity.name = prefix + row.entity.name
            rename(row.entity, clash, prefix)


def nested_names(entity: EntityRow) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in entity.rows:
        if row.entity is not None:
            found[row.entity.name] = repr(row.entity)
            found |= nested_names(row.entity)
    return found


def build(api: str) -> str | None:
    roots: list[tuple[str, EntityRow, list[int], list[int], int]] = []
    for kind in ("request", "response"):
        entity: EntityRow | None = None
        shared: dict[str, EntityRow] = {}
        versions, flexible, key = [], [], -1
        for version, paths in sorted(schema_name_map[api].items()):
            path = next((p for t, p in paths.items() if t.name == kind), None)
            if path is None:
                continue
            module, _, name = path.partition(":")
            cls = getattr(importlib.import_module(module), name)
            entity = entity or EntityRow(name)
            merge(entity, cls, version, shared)
            versions.append(version)
            key = int(cls.__api_key__)
            if cls.__flexible__:
                flexible.append(version)
        if entity is None:
            return None
        roots.append((kind, entity, versions, flexible, key))
    (_, request, *_), (_, response, *_) = roots
    mine, theirs = nested_names(request), nested_names(response)
    clash = {name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]}
    rename(request, clash, "Request")
    rename(response, clash, "Response")
    out: list[str] = []
    seen: dict[str, str] = {}
    for kind, entity, versions, flexible, key in roots:
        first_flexible = min(flexible) if flexible else 32767
        title = f"API key {key}, v{versions[0]}-{versions[-1]}, " + (
            f"flexible from v{first_flexible}." if flexible else "never flexible."
        )
        emit(entity, versions, out, seen, title)
        out.append(
            f"{kind.upper()} = Schema({entity.name}, api_key={key}, versions=({versions[0]}, {versions[-1]}), "
            f"flexible_from={first_flexible})"
        )
    text = "\n\n\n".join(out)
    imports = ["from typing import ClassVar", ""]
    if "Sequence[" in text:
        imports.insert(0, "from collections.abc import Sequence")
    names = ["Field", "Message", "Schema"] + (["ZERO_UUID"] if "ZERO_UUID" in text else [])
    imports.append(f"from mainstem.wire.schema import {', '.join(sorted(names))}")
    title = api.replace("_", " ")
    return (
        f'"""Messages of {title}. Generated by schemas/protocol/generate.py: do not edit."""\n\n'
        + "\n".join(imports)
        + f"\n\n\n{text}\n"
    )


def generate() -> dict[str, str]:
    """File name -> text of every message module."""
    files = {}
    for api in sorted(api_key_map.values()):
        if LEFT_OUT.search(api):
            continue
        text = build(api)
        if text is not None:
            files[f"{api}.py"] = text
    return files


if __name__ == "__main__":
    for name, text in generate().items():
        (TARGET / name).write_text(text)
