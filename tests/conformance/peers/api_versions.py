"""Ask a broker which APIs and features it serves: ApiVersions, written from the protocol guide alone.

The readers here are deliberately not those of the project, so that a mistake in our codec cannot hide itself.
"""

import socket
import struct
from dataclasses import dataclass, field

_API_KEY = 18
_CORRELATION_ID = 41
_FRAME_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class VersionRange:
    """The lowest and highest version of an API or a feature, both included."""

    lowest: int
    highest: int

    def __str__(self) -> str:
        return f"{self.lowest}-{self.highest}"


@dataclass
class ServedVersions:
    """What an ApiVersions answer of version 4 says."""

    error_code: int
    apis: dict[int, VersionRange] = field(default_factory=dict)
    supported_features: dict[str, VersionRange] = field(default_factory=dict)
    finalized_features: dict[str, VersionRange] = field(default_factory=dict)
    zookeeper_migration_ready: bool = False


def ask_served_versions(bootstrap: str, *, timeout_s: float = 10.0) -> ServedVersions:
    """Send ApiVersions v4 to `host:port` and return its answer.

    Raises:
        OSError: the broker is not reachable, or closed the connection.
        ValueError: the answer does not follow the protocol guide.
    """
    software = _compact_string("mainstem-conformance") + _compact_string("1")
    header = struct.pack(">hhih", _API_KEY, 4, _CORRELATION_ID, -1) + b"\x00"
    return _read_answer(exchange(bootstrap, header + software + b"\x00", timeout_s=timeout_s))


def exchange(bootstrap: str, request: bytes, *, timeout_s: float) -> bytes:
    """Send one request, without its length, on a connection of its own; return the answer without its."""
    host, port = bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", _receive(connection, 4))
        if not 4 <= size <= _FRAME_BYTES_MAX:
            raise ValueError(f"the answer says it has {size} bytes")
        return _receive(connection, size)


def _receive(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the broker closed the connection before its answer was complete")
        received += piece
    return bytes(received)


def _read_answer(answer: bytes) -> ServedVersions:
    reader = _Reader(answer)
    correlation_id = reader.fixed(">i")
    if correlation_id != _CORRELATION_ID:
        raise ValueError(f"correlation id {correlation_id}, sent {_CORRELATION_ID}")
    # The response header of ApiVersions is version 0 for all its versions (KIP-511): no tagged fields here.
    served = ServedVersions(error_code=reader.fixed(">h"))
    for _ in range(reader.array_length()):
        key = reader.fixed(">h")
        served.apis[key] = VersionRange(reader.fixed(">h"), reader.fixed(">h"))
        reader.no_tags()
    reader.fixed(">i")  # throttle_time_ms
    for _ in range(reader.unsigned_varint()):
        tag, size = reader.unsigned_varint(), reader.unsigned_varint()
        section = _Reader(reader.take(size))
        match tag:
            case 0:
                served.supported_features = _read_features(section, highest_first=False)
            case 1:
                section.fixed(">q")  # finalized_features_epoch
            case 2:
                served.finalized_features = _read_features(section, highest_first=True)
            case 3:
                served.zookeeper_migration_ready = bool(section.fixed(">b"))
            case _:
                raise ValueError(f"unknown tagged field {tag}")
        section.finished()
    reader.finished()
    return served


def _read_features(reader: "_Reader", *, highest_first: bool) -> dict[str, VersionRange]:
    features = {}
    for _ in range(reader.array_length()):
        name = reader.take(reader.unsigned_varint() - 1).decode()
        first, second = reader.fixed(">h"), reader.fixed(">h")
        features[name] = VersionRange(second, first) if highest_first else VersionRange(first, second)
        reader.no_tags()
    return features


def _compact_string(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded) + 1]) + encoded


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._data):
            raise ValueError(f"the answer ends inside a field at byte {self._at}")
        self._at += size
        return self._data[self._at - size : self._at]

    def fixed(self, layout: str) -> int:
        (value,) = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return int(value)

    def unsigned_varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a varint longer than 5 bytes")

    def array_length(self) -> int:
        length = self.unsigned_varint() - 1
        if length < 0:
            raise ValueError("null where an array must be")
        return length

    def no_tags(self) -> None:
        if self.unsigned_varint() != 0:
            raise ValueError("tagged fields where the protocol guide has none")

    def finished(self) -> None:
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes after the end of the answer")
