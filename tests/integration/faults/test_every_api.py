"""Every served API in every version, over a socket: an injected error arrives in an answer that its readers can read."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from mainstem import Broker
from mainstem.broker.routes import ROUTES
from mainstem.model.errors import ErrorCode
from mainstem.wire import codec
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.hot_produce import OLDEST_SERVED
from mainstem.wire.schema import Message

ERROR = ErrorCode.KAFKA_STORAGE_ERROR
WAIT_S = 30
VERSIONS = [
    (route.api, version)
    for route in ROUTES.values()
    for version in range(route.first_version, route.last_version + 1)
    if route.api is not ApiKey.PRODUCE or version >= OLDEST_SERVED
]


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(storage="memory") as running:
        yield running


def sample(message: type[Message]) -> Message:
    """One element in every list, and nothing that exists."""
    module = sys.modules[message.__module__]
    values: dict[str, Any] = {}
    for field in message.layout:
        value = _value(module, field.type.removeprefix("[]"))
        values[field.name] = [value] if field.type.startswith("[]") else value
    # A Fetch without a session; one that does not exist would have an error of its own.
    values |= {name: number for name, number in (("session_id", 0), ("session_epoch", -1)) if name in values}
    return message(**values)


def _value(module: Any, kind: str) -> Any:
    plain = {"string": "nobody", "bool": False, "float64": 1.0, "uuid": b"i" * 16, "bytes": b"", "records": b""}
    if kind in plain:
        return plain[kind]
    return 1 if kind.startswith(("int", "uint")) else sample(getattr(module, kind))


def errors(message: Message, version: int) -> Iterator[int]:
    for field in message.layout:
        value = getattr(message, field.name)
        if field.travels_in(version) and field.name in ("error_code", "partition_error_code"):
            yield value
        elif field.travels_in(version) and isinstance(value, (list, tuple)):
            for item in value:
                if isinstance(item, Message):
                    yield from errors(item, version)


def ask(broker: Broker, api: ApiKey, version: int) -> Message:
    host, port = broker.bootstrap_servers.rsplit(":", 1)
    schema = codec.request_schema(api)
    header = struct.pack(">hhih", api, version, 77, -1) + (b"\0" if version >= FLEXIBLE_FROM[api] else b"")
    frame = header + codec.encode(schema, version, sample(schema.message))
    with socket.create_connection((host, int(port)), WAIT_S) as connection:
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        size, correlation_id = struct.unpack(">ii", connection.recv(8, socket.MSG_WAITALL))
        body = memoryview(connection.recv(size - 4, socket.MSG_WAITALL))
    assert (correlation_id, len(body)) == (77, size - 4)
    is_flexible = version >= FLEXIBLE_FROM[api] and api is not ApiKey.API_VERSIONS
    return codec.decode(codec.response_schema(api), version, body, codec.skip_tags(body, 0) if is_flexible else 0)


@pytest.mark.parametrize(("api", "version"), VERSIONS)
def test_the_error_arrives(broker: Broker, api: ApiKey, version: int) -> None:
    rule = broker.faults.fail(ERROR.name, api=api.title)
    try:
        found = {*errors(ask(broker, api, version), version)}
        assert broker.faults.status(rule).injected == 1
    finally:
        broker.faults.remove(rule)
    assert ERROR in found
    # Where only the top says it, what is below has nothing to say.
    assert found <= {ERROR, ErrorCode.NONE}


@pytest.mark.parametrize("when", ["before", "after"])
def test_no_answer_arrives_from_a_connection_that_is_cut(broker: Broker, when: str) -> None:
    rule = broker.faults.disconnect(when=when)
    try:
        for api, version in dict(VERSIONS).items():
            with pytest.raises(struct.error):
                ask(broker, api, version)
    finally:
        broker.faults.remove(rule)
