"""Kafka's protocol by hand, one blocking request at a time: what the commands say to a cluster.

Plain or TLS, without or with SASL (PLAIN and SCRAM).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from types import TracebackType

from mainstem.client.errors import RefusedError, UnreachableError, check
from mainstem.client.sasl import SaslError, credentials, exchange, mechanism_of
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.codec import decode, encode, request_schema, response_schema, skip_tags
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from mainstem.wire.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse
from mainstem.wire.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from mainstem.wire.schema import Message

CLIENT_ID = "mainstem-admin"
NEWEST = 32767
"""No limit to the version of a request."""
RESPONSE_BYTES_MAX = 100 * 1024 * 1024
_HEADER = struct.Struct(">hhih")
_INT32 = struct.Struct(">i")


class ProtocolConnection:
    """One connection to one broker. Use as a context manager, or close it."""

    def __init__(self, host: str, port: int, timeout_s: float, properties: Mapping[str, str] | None = None) -> None:
        """`properties` say how the connection is secured. Raises: UnreachableError, RefusedError, ConfigError."""
        self._address = f"{host}:{port}"
        self._correlation_id = 0
        self._ranges: dict[int, tuple[int, int]] = {}
        properties = properties or {}
        self._client_id = properties.get("client.id", CLIENT_ID).encode()
        security = properties.get("security.protocol", "PLAINTEXT").upper()
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
            if security.endswith("SSL"):
                from mainstem.client.tls import wrapped

                self._socket = wrapped(self._socket, host, properties)
        except OSError as error:
            raise self._unreachable(error) from None
        if security.startswith("SASL_"):
            self._authenticate(mechanism_of(properties), *credentials(properties))

    def ask(self, api: ApiKey, request: Message, up_to: int = NEWEST) -> Message:
        """The answer to a request, in the newest version that both sides know, `up_to` at most.

        Raises: UnreachableError, RefusedError if the broker does not serve this.
        """
        first, last = request_schema(api).versions
        served_first, served_last = self.served().get(api, (0, -1))
        version = min(last, served_last, up_to)
        if version < max(first, served_first):
            raise RefusedError(ErrorCode.UNSUPPORTED_VERSION, f"the broker does not serve {api.name}")
        return self._exchange(api, version, request)

    def served(self) -> Mapping[int, tuple[int, int]]:
        """First and last version by API key. Raises: UnreachableError."""
        if not self._ranges:
            answer = self._exchange(ApiKey.API_VERSIONS, 0, ApiVersionsRequest())
            assert isinstance(answer, ApiVersionsResponse), answer
            self._ranges = {each.api_key: (each.min_version, each.max_version) for each in answer.api_keys}
        return self._ranges

    def wait_at_most(self, timeout_s: float) -> None:
        """How long the answer to a request may take from now on."""
        self._socket.settimeout(timeout_s)

    def close(self) -> None:
        self._socket.close()

    def _authenticate(self, mechanism: str, user: str, password: str) -> None:
        """Raises: UnreachableError, RefusedError."""
        shaken = self._exchange(ApiKey.SASL_HANDSHAKE, 1, SaslHandshakeRequest(mechanism=mechanism))
        assert isinstance(shaken, SaslHandshakeResponse), shaken
        check(shaken.error_code, f"the broker takes {', '.join(shaken.mechanisms)}, not {mechanism}")
        steps = exchange(mechanism, user, password)
        said = next(steps)
        try:
            while True:
                answer = self._exchange(ApiKey.SASL_AUTHENTICATE, 1, SaslAuthenticateRequest(auth_bytes=said))
                assert isinstance(answer, SaslAuthenticateResponse), answer
                check(answer.error_code, answer.error_message)
                said = steps.send(bytes(answer.auth_bytes))
        except StopIteration:
            return
        except SaslError as error:
            raise RefusedError(ErrorCode.SASL_AUTHENTICATION_FAILED, str(error)) from None

    def _exchange(self, api: ApiKey, version: int, request: Message) -> Message:
        self._correlation_id += 1
        is_flexible = version >= FLEXIBLE_FROM[api]
        header = _HEADER.pack(api, version, self._correlation_id, len(self._client_id)) + self._client_id
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
        self.close()
