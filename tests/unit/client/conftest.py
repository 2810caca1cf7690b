from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mainstem.client.cluster import Cluster
from mainstem.client.connection import Connection
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.codec import decode, decode_header, encode, request_schema, response_schema
from mainstem.wire.messages.api_versions import ApiVersion, ApiVersionsResponse
from mainstem.wire.messages.metadata import MetadataResponse, MetadataResponseBroker
from mainstem.wire.schema import Message

Answer = Callable[[Any], Message]


class FakeBroker:
    """Answers requests as it is told, one connection after the other. `asked` are the requests, in order.

    Metadata names it broker 1, and it coordinates nothing until it is told to.
    """

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.answers: dict[ApiKey, Answer] = {ApiKey.METADATA: lambda request: self.metadata()}
        self.newest: dict[ApiKey, int] = {}
        self.asked: list[tuple[ApiKey, Message]] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def metadata(self, topics: Any = ()) -> MetadataResponse:
        broker = MetadataResponseBroker(node_id=1, host="127.0.0.1", port=self.port)
        return MetadataResponse(brokers=[broker], controller_id=1, cluster_id="fake", topics=topics)

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def requests(self, api: ApiKey) -> list[Any]:
        return [request for asked, request in self.asked if asked is api]

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, line: socket.socket) -> None:
        with line:
            while frame := _frame(line):
                line.sendall(self._answered(memoryview(frame)))

    def _answered(self, frame: memoryview) -> bytes:
        api = ApiKey(struct.unpack_from(">h", frame)[0])
        header = decode_header(frame, FLEXIBLE_FROM[api])
        version = header.api_version
        request = decode(request_schema(api), version, frame, header.body)
        answer = self._api_versions() if api is ApiKey.API_VERSIONS else self.answers[api](request)
        if api is not ApiKey.API_VERSIONS:
            self.asked.append((api, request))
        tags = b"\0" if version >= FLEXIBLE_FROM[api] and api is not ApiKey.API_VERSIONS else b""
        body = struct.pack(">i", header.correlation_id) + tags + encode(response_schema(api), version, answer)
        return struct.pack(">i", len(body)) + body

    def _api_versions(self) -> Message:
        served = []
        for api in self.answers:
            first, last = request_schema(api).versions
            served.append(ApiVersion(api_key=api, min_version=first, max_version=self.newest.get(api, last)))
        return ApiVersionsResponse(api_keys=served)


def _frame(line: socket.socket) -> bytes:
    """The next request, empty when there is none any more."""
    try:
        head = line.recv(4, socket.MSG_WAITALL)
        return line.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL) if len(head) == 4 else b""
    except OSError:
        return b""


@pytest.fixture
def fake() -> Iterator[FakeBroker]:
    broker = FakeBroker()
    yield broker
    broker.close()


@pytest.fixture
def cluster(fake: FakeBroker) -> Iterator[Cluster]:
    with Cluster.connect(Connection(bootstrap_servers=fake.bootstrap), api_timeout_s=5.0) as connected:
        yield connected
