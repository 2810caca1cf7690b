"""For every API with a shape, served or to come: an answer with an error is well-formed, and has it wherever there is room."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainstem.broker.faults.places import SHAPES
from mainstem.broker.faults.refusals import Split, Splitter, Wanted, overlay, stamp
from mainstem.broker.routes import ROUTES
from mainstem.model.errors import ErrorCode
from mainstem.wire import codec
from mainstem.wire.apis import ApiKey
from mainstem.wire.hot_produce import OLDEST_SERVED
from mainstem.wire.schema import Message

ERROR = ErrorCode.NOT_LEADER_OR_FOLLOWER
EVERYTHING = Wanted(None, None, None)
KAFKA = json.loads((Path(__file__).parents[2] / "data" / "kafka-4.1-api-versions.json").read_text())["apis"]
VERSIONS = [
    (ApiKey(row["key"]), version)
    for row in KAFKA
    if row["key"] in SHAPES
    for version in range(row["min"], row["max"] + 1)
    if row["key"] != ApiKey.PRODUCE or version >= OLDEST_SERVED
]
"""Older Produce requests are refused whatever is in them."""
NO_PLACE = {(ApiKey.DESCRIBE_LOG_DIRS, 1), (ApiKey.DESCRIBE_LOG_DIRS, 2)}
"""A list that the broker makes, without an error of its own above it: real answers are stamped."""
TOPIC_ID = b"i" * 16


def sample(message: type[Message], *, texts: tuple[str, ...] = ("t",)) -> Message:
    """A message with every field set, and as many elements in every list as there are texts."""
    module = sys.modules[message.__module__]
    values: dict[str, Any] = {}
    for field in message.layout:
        kind = field.type.removeprefix("[]")
        many = [_value(module, kind, text) for text in texts]
        values[field.name] = many if field.type.startswith("[]") else many[0]
    return message(**values)


def _value(module: Any, kind: str, text: str) -> Any:
    match kind:
        case "string":
            return text
        case "bool":
            return False
        case "float64":
            return 1.0
        case "uuid":
            return TOPIC_ID if text == "t" else text.encode().ljust(16)
        case "bytes" | "records":
            return b""
        case _ if kind.startswith(("int", "uint")):
            return int(text) if text.isdecimal() else 2
        case _:
            return sample(getattr(module, kind))


def sent(api: ApiKey, version: int, message: Message) -> Message:
    """As it arrives: without what this version does not carry."""
    schema = codec.request_schema(api)
    return codec.decode(schema, version, memoryview(codec.encode(schema, version, message)))


def received(api: ApiKey, version: int, message: Message) -> Message:
    schema = codec.response_schema(api)
    return codec.decode(schema, version, memoryview(codec.encode(schema, version, message)))


def split(api: ApiKey, version: int, request: Message, wanted: Wanted = EVERYTHING) -> Split:
    names = {TOPIC_ID: "t"}
    return Splitter(api, version, wanted, ERROR, names.get).split(request)


def errors(message: Message, version: int) -> Iterator[int]:
    """Every error code that travels in a version, at any depth."""
    for field in message.layout:
        value = getattr(message, field.name)
        if not field.travels_in(version):
            continue
        if field.name in ("error_code", "partition_error_code"):
            yield value
        elif isinstance(value, (list, tuple)):
            for item in value:
                if isinstance(item, Message):
                    yield from errors(item, version)


def test_every_served_api_has_a_shape() -> None:
    assert [route.api.name for route in ROUTES.values() if route.api not in SHAPES] == []


@pytest.mark.parametrize(("api", "version"), VERSIONS)
def test_an_error_stands_wherever_the_answer_has_room_for_it(api: ApiKey, version: int) -> None:
    request = sent(api, version, sample(codec.request_schema(api).message))
    refused = split(api, version, request)
    answer = received(api, version, refused.refused)
    found = [code for code in errors(answer, version) if code]
    if (api, version) in NO_PLACE:
        assert (refused.places, found) == (0, [])
        return
    assert found
    assert set(found) == {ERROR}
    # A field of a group or an id that other versions have in another place may be counted and not travel.
    assert len(found) <= refused.places
    assert refused.rest is None


@pytest.mark.parametrize(("api", "version"), VERSIONS)
def test_a_request_that_names_nothing_has_a_real_answer_to_stamp(api: ApiKey, version: int) -> None:
    answer = received(api, version, sample(codec.response_schema(api).message))
    stamped = received(api, version, stamp(answer, ERROR))
    assert {*errors(stamped, version)} == {ERROR}


@pytest.mark.parametrize(
    ("api", "version", "outer", "inner", "answered", "rows"),
    [
        (ApiKey.PRODUCE, 9, "topic_data", "partition_data", "responses", "partition_responses"),
        (ApiKey.PRODUCE, 13, "topic_data", "partition_data", "responses", "partition_responses"),
        (ApiKey.FETCH, 4, "topics", "partitions", "responses", "partitions"),
        (ApiKey.FETCH, 13, "topics", "partitions", "responses", "partitions"),
        (ApiKey.LIST_OFFSETS, 7, "topics", "partitions", "topics", "partitions"),
        (ApiKey.OFFSET_COMMIT, 8, "topics", "partitions", "topics", "partitions"),
        (ApiKey.OFFSET_FETCH, 5, "topics", "partition_indexes", "topics", "partitions"),
        (ApiKey.DELETE_RECORDS, 2, "topics", "partitions", "topics", "partitions"),
        (ApiKey.OFFSET_FOR_LEADER_EPOCH, 4, "topics", "partitions", "topics", "partitions"),
        (ApiKey.ELECT_LEADERS, 2, "topic_partitions", "partitions", "replica_election_results", "partition_result"),
        (ApiKey.ALTER_PARTITION_REASSIGNMENTS, 0, "topics", "partitions", "responses", "partitions"),
    ],
)
def test_one_partition_fails_and_the_others_are_left(
    api: ApiKey, version: int, outer: str, inner: str, answered: str, rows: str
) -> None:
    request = sent(api, version, two_partitions(api, outer, inner))
    part = split(api, version, request, Wanted("t", 5, None))
    assert part.places == 1
    (refused,) = getattr(part.refused, answered)
    (row,) = getattr(refused, rows)
    assert (row.error_code, _index(row)) == (ERROR, 5)
    assert part.rest is not None
    (left,) = getattr(part.rest, outer)
    assert [_index(item) for item in getattr(left, inner)] == [4]
    # The real answer to what was left, with the error put in.
    other = split(api, version, part.rest, Wanted("t", 4, None)).refused
    whole = received(api, version, overlay(api, other, part.refused))
    assert [[_index(row) for row in getattr(topic, rows)] for topic in getattr(whole, answered)] == [[4, 5]]
    for wanted in (Wanted("u", None, None), Wanted("t", 6, None), Wanted(None, None, "g")):
        assert split(api, version, request, wanted).places == 0


def two_partitions(api: ApiKey, outer: str, inner: str) -> Message:
    """Partitions 4 and 5 of topic `t`."""
    schema = codec.request_schema(api).message
    element = getattr(sample(schema), outer)[0]
    kinds = {field.name: field.type for field in type(element).layout}
    if kinds[inner] == "[]int32":
        numbers: list[Any] = [4, 5]
    else:
        part = getattr(sys.modules[schema.__module__], kinds[inner].removeprefix("[]"))
        numbers = [sample(part, texts=(number,)) for number in ("4", "5")]
    request = sample(schema)
    changed: Message = msgspec.structs.replace(
        request, **{outer: [msgspec.structs.replace(element, **{inner: numbers})]}
    )
    return changed


def _index(item: Any) -> int:
    if isinstance(item, int):
        return item
    names = ("partition_index", "partition_id", "partition", "index")
    return int(next(getattr(item, name) for name in names if hasattr(item, name)))


@pytest.mark.parametrize(
    ("api", "version"), [(ApiKey.DESCRIBE_GROUPS, 5), (ApiKey.DELETE_GROUPS, 2), (ApiKey.FIND_COORDINATOR, 4)]
)
def test_one_group_fails_and_the_others_are_left(api: ApiKey, version: int) -> None:
    request = sent(api, version, sample(codec.request_schema(api).message, texts=("a", "b")))
    part = split(api, version, request, Wanted(None, None, "b"))
    assert part.places == 1
    assert part.rest is not None
    assert list(errors(received(api, version, part.refused), version)) == [ERROR]


@pytest.mark.parametrize(
    ("api", "version"),
    [
        (ApiKey.JOIN_GROUP, 9),
        (ApiKey.HEARTBEAT, 0),
        (ApiKey.OFFSET_COMMIT, 9),
        (ApiKey.OFFSET_FETCH, 7),
        (ApiKey.INIT_PRODUCER_ID, 5),
        (ApiKey.FIND_COORDINATOR, 3),
    ],
)
def test_a_request_of_one_group_is_that_groups(api: ApiKey, version: int) -> None:
    request = sent(api, version, sample(codec.request_schema(api).message, texts=("g",)))
    assert split(api, version, request, Wanted(None, None, "g")).places
    assert split(api, version, request, Wanted(None, None, "h")).places == 0
