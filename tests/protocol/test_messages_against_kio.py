"""Our compiled codec and kio's must agree on every byte of every message in every version.

Random kio messages are written by kio, read by us, written by us (same bytes), and the values compared field by field.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import io
import random
import uuid
from types import EllipsisType, NoneType, UnionType
from typing import Any, get_args, get_origin

import pytest
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_writer

from mainstem.wire import codec
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.compile import MalformedMessage

CASES = [
    (api, version, kind.name)
    for api in ApiKey
    for version, kinds in sorted(schema_name_map[api_key_map[api]].items())
    for kind in kinds
    if kind.name in ("request", "response")
]


def random_value(kind: str, annotation: Any, rng: random.Random) -> Any:
    match kind:
        case "int8" | "int16" | "int32" | "int64":
            bits = int(kind[3:])
            return rng.choice([0, 1, -1, rng.randrange(-(2 ** (bits - 1)), 2 ** (bits - 1))])
        case "uint16":
            return rng.randrange(2**16)
        case "float64":
            return rng.choice([0.0, 0.5, -1e300])
        case "bool":
            return rng.random() < 0.5
        case "string":
            return rng.choice(["", "a", "Ünïcode", "x" * 200])
        case "bytes" | "records":
            return rng.choice([b"", b"\0", rng.randbytes(300)])
        case "uuid":
            return rng.choice([None, uuid.UUID(int=rng.getrandbits(128) | 1)])
        case "error_code":
            from kio.schema.errors import ErrorCode

            return rng.choice(list(ErrorCode))
        case "timedelta_i32" | "timedelta_i64":
            return datetime.timedelta(milliseconds=rng.choice([0, 1, -1, rng.randrange(2**31)]))
        case "datetime_i64":
            return datetime.datetime.fromtimestamp(rng.randrange(2**31), tz=datetime.UTC)
    raise AssertionError(f"no random values for {kind} {annotation}")


def random_entity(cls: Any, rng: random.Random) -> Any:
    values = {}
    for field in dataclasses.fields(cls):
        annotation, nullable, array = field.type, False, False
        if get_origin(annotation) is UnionType:
            nullable = True
            annotation = next(a for a in get_args(annotation) if a is not NoneType)
        if get_origin(annotation) is tuple:
            array = True
            annotation = next(a for a in get_args(annotation) if not isinstance(a, EllipsisType))
        tagged = "tag" in field.metadata
        if nullable and not tagged and field.metadata.get("kafka_type") != "uuid" and rng.random() < 0.3:
            values[field.name] = None
            continue
        if tagged and rng.random() < 0.5 and field.default is not dataclasses.MISSING:
            continue

        def one(annotation: Any = annotation, field: Any = field) -> Any:
            if dataclasses.is_dataclass(annotation):
                return random_entity(annotation, rng)
            return random_value(field.metadata["kafka_type"], annotation, rng)

        values[field.name] = tuple(one() for _ in range(rng.randrange(3))) if array else one()
    return cls(**values)


def assert_same(theirs: Any, ours: Any) -> None:
    for field in dataclasses.fields(theirs):
        kind = field.metadata.get("kafka_type", "")
        suffix = "_ms" if kind.startswith(("timedelta", "datetime")) else ""
        assert plain(getattr(theirs, field.name), kind) == getattr_compare(ours, field.name + suffix)


def plain(value: Any, kind: str) -> Any:
    if isinstance(value, tuple):
        return [plain(v, kind) for v in value]
    if dataclasses.is_dataclass(value):
        return {
            f.name: plain(getattr(value, f.name), f.metadata.get("kafka_type", "")) for f in dataclasses.fields(value)
        }
    if kind == "datetime_i64" and value is None:
        return -1
    if kind == "uuid":
        return value.bytes if value else bytes(16)
    if isinstance(value, datetime.timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, datetime.datetime):
        return round(value.timestamp() * 1000)
    return value


def getattr_compare(ours: Any, name: str) -> Any:
    value = getattr(ours, name)
    return [part_of(v) for v in value] if isinstance(value, list | tuple) else part_of(value)


class Part:
    """Compares one of our messages with the dict made from kio's: only the fields that kio has in this version."""

    def __init__(self, message: Any) -> None:
        self.message = message

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, dict)
        for name, value in other.items():
            mine = name if hasattr(self.message, name) else name + "_ms"
            if getattr_compare(self.message, mine) != value:
                return False
        return True

    __hash__ = None  # type: ignore[assignment]


def part_of(value: Any) -> Any:
    return Part(value) if hasattr(value, "layout") else value


@pytest.mark.parametrize("api", list(ApiKey), ids=lambda a: a.name)
def test_every_version_reads_and_writes_the_bytes_that_kio_does(api: ApiKey) -> None:
    for case_api, version, kind in CASES:
        if case_api is not api:
            continue
        path = next(p for t, p in schema_name_map[api_key_map[api]][version].items() if t.name == kind)
        module, _, name = path.partition(":")
        cls = getattr(importlib.import_module(module), name)
        schema = codec.request_schema(api) if kind == "request" else codec.response_schema(api)
        write = entity_writer(cls)
        rng = random.Random(f"{api.name}/{version}/{kind}")
        for _ in range(12):
            theirs = random_entity(cls, rng)
            buffer = io.BytesIO()
            write(buffer, theirs)
            ours = codec.decode(schema, version, memoryview(buffer.getvalue()))
            assert_same(theirs, ours)
            assert codec.encode(schema, version, ours) == buffer.getvalue(), (api.name, version, kind, theirs)


@pytest.mark.parametrize("api", list(ApiKey), ids=lambda a: a.name)
def test_header_table_says_what_the_schemas_say(api: ApiKey) -> None:
    assert codec.request_schema(api).flexible_from == FLEXIBLE_FROM[api]
    assert codec.request_schema(api).api_key == api


@pytest.mark.parametrize("seed", range(200))
def test_random_bytes_are_refused_or_read_but_never_crash(seed: int) -> None:
    rng = random.Random(seed)
    api, version, kind = rng.choice(CASES)
    schema = codec.request_schema(api) if kind == "request" else codec.response_schema(api)
    refusal = ""
    try:
        codec.decode(schema, version, memoryview(rng.randbytes(rng.randrange(200))))
    except MalformedMessage as error:
        refusal = str(error)
    assert refusal == "" or schema.message.__name__ in refusal
