"""One connection that says in raw requests what no client library would."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import decode, encode, request_schema, response_schema

TIMEOUT_S = 30


class Deadline:
    """For what comes by itself, and is asked for until it has: `check` fails when the time is over."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._ends = time.monotonic() + TIMEOUT_S

    def check(self) -> None:
        assert time.monotonic() < self._ends, f"not within {TIMEOUT_S} s: {self._what}"


class RawConnection:
    """Several requests may be under way; their answers come in order."""

    def __init__(self, bootstrap: str) -> None:
        host, port = bootstrap.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self._sent: list[tuple[ApiKey, int]] = []

    def close(self) -> None:
        self._socket.close()

    def send(self, api: ApiKey, version: int, request: Any, *, is_answered: bool = True) -> None:
        schema = request_schema(api)
        head = struct.pack(">hhihs", api, version, len(self._sent), 1, b"c")
        frame = head + (b"\0" if version >= schema.flexible_from else b"") + encode(schema, version, request)
        self._socket.sendall(struct.pack(">i", len(frame)) + frame)
        if is_answered:
            self._sent.append((api, version))

    def receive(self) -> Any:
        api, version = self._sent.pop(0)
        (size,) = struct.unpack(">i", self._exactly(4))
        schema = response_schema(api)
        return decode(schema, version, memoryview(self._exactly(size)), 4 + (version >= schema.flexible_from))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            got = self._socket.recv(size - len(data))
            assert got, "the broker hung up"
            data += got
        return data

    def ask(self, api: ApiKey, version: int, request: Any) -> Any:
        self.send(api, version, request)
        return self.receive()
