"""Kafka's protocol by hand, one blocking request at a time, for what the client library cannot say.

It cannot name the cluster's default configuration, and it forgets all but one of the synonyms that have the same name.
Plain connections only: everything else (TLS, SASL) is the library's.
"""

from __future__ import annotations

import socket
import struct
from types import TracebackType

from mainstem.client.errors import RefusedError, UnreachableError
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.codec import decode, encode, request_schema, response_schema, skip_tags
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from mainstem.wire.schema import Message

CLIENT_ID = "mainstem-admin"
RESPONSE_BYTES_MAX = 100 * 1024 * 1024
_HEADER = struct.Struct(">hhih")
_INT32 = struct.Struct(">i")


class ProtocolConnection:
    """One connection to one broker. Use as a context manager."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        """Raises: UnreachableError."""
        self._address = f"{host}:{port}"
        self._correlation_id = 0
        self._ranges: dict[int, tuple[int, int]] = {}
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except OSError as error:
            raise self._unreachable(error) from None

    def ask(self, api: ApiKey, request: Message) -> Message:
        """The answer to a request, in the newest version that both sides know.

        Raises: UnreachableError, RefusedError if the broker does not serve this.
        """
        if not self._ranges:
            answer = self._exchange(ApiKey.API_VERSIONS, 0, ApiVersionsRequest())
            assert isinstance(answer, ApiVersionsResponse), answer
            self._ranges = {each.api_key: (each.min_version, each.max_version) for each in answer.api_keys}
        first, last = request_schema(api).versions
        served_first, served_last = self._ranges.get(api, (0, -1))
        version = min(last, served_last)
        if version < max(first, served_first):
            raise RefusedError(ErrorCode.UNSUPPORTED_VERSION, f"the broker does not serve {api.name}")
        return self._exchange(api, version, request)

    def _exchange(self, api: ApiKey, version: int, request: Message) -> Message:
        self._correlation_id += 1
        is_flexible = version >= FLEXIBLE_FROM[api]
        client_id = CLIENT_ID.encode()
        header = _HEADER.pack(api, version, self._correlation_id, len(client_id)) + client_id
        body = header + (b"\0" if is_flexible else b"") + encode(request_schema(api), version, request)
        try:
            self._socket.sendall(_INT32.pack(len(body)) + body)
            (size,) = _INT32.unpack(self._receive(_INT32.size))
            if not _INT32.size <= size <= RESPONSE_BYTES_MAX:
                raise UnreachableError(self._address, "what answers there is not a Kafka broker")
            frame = memoryview(self._receive(size))
        except OSError as error:
            raise self._unreachable(error) from None
        try:
            position = _INT32.size
            if is_flexible and api is not ApiKey.API_VERSIONS:
                position = skip_tags(frame, position)
            return decode(response_schema(api), version, frame, position)
        except MalformedMessage as error:
            raise UnreachableError(self._address, f"it answers nonsense: {error}") from None

    def _receive(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            part = self._socket.recv(size - len(received))
            if not part:
                raise ConnectionResetError("the broker closed the connection")
            received += part
        return bytes(received)

    def _unreachable(self, error: OSError) -> UnreachableError:
        return UnreachableError(self._address, error.strerror or str(error))

    def __enter__(self) -> ProtocolConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
