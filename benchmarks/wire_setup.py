"""What a client asks before it works: the id of a topic, a producer id."""

import struct

from wire import ProducerState, framed, unsigned_varint
from wire_newer import read_unsigned_varint

_METADATA, _METADATA_VERSION = 3, 12
_INIT_PRODUCER_ID, _INIT_PRODUCER_ID_VERSION = 22, 4
API_VERSIONS_REQUEST = framed(18, 0, b"")


def metadata_request(topic: str) -> bytes:
    name = topic.encode()
    topics = unsigned_varint(2) + bytes(16) + unsigned_varint(len(name) + 1) + name + b"\x00"
    return framed(_METADATA, _METADATA_VERSION, topics + b"\x00\x00\x00", flexible=True)


def all_topics_request() -> bytes:
    return framed(_METADATA, _METADATA_VERSION, unsigned_varint(0) + b"\x00\x00\x00", flexible=True)


def read_topic_id(answer: bytes) -> tuple[int, bytes]:
    """The error code and the id of the only topic of a Metadata answer, given without its length."""
    topics, at = _topics(answer)
    assert topics == 1, f"Metadata answered with {topics} topics"
    (error,) = struct.unpack_from(">h", answer, at)
    at = _skip_string(answer, at + 2)
    return error, bytes(answer[at : at + 16])


def count_led_partitions(answer: bytes) -> int:
    """How many partitions of topics that are not internal have a leader, by a Metadata answer without its length."""
    topics, at = _topics(answer)
    led = 0
    for _ in range(topics):
        at = _skip_string(answer, at + 2) + 16
        is_internal = answer[at]
        partitions, at = read_unsigned_varint(answer, at + 1)
        for _ in range(partitions - 1):
            error, _, leader, _ = struct.unpack_from(">hiii", answer, at)
            led += not is_internal and error == 0 and leader >= 0
            at += 14
            for _ in ("replicas", "in sync", "offline"):
                count, at = read_unsigned_varint(answer, at)
                at += 4 * (count - 1)
            at += 1
        at += 4 + 1
    return led


def _topics(answer: bytes) -> tuple[int, int]:
    """How many topics a Metadata answer has, and where the first one begins."""
    brokers, at = read_unsigned_varint(answer, 4 + 1 + 4)
    for _ in range(brokers - 1):
        at = _skip_string(answer, at + 4) + 4
        at = _skip_string(answer, at) + 1
    at = _skip_string(answer, at) + 4
    topics, at = read_unsigned_varint(answer, at)
    return topics - 1, at


def _skip_string(answer: bytes, at: int) -> int:
    size, at = read_unsigned_varint(answer, at)
    return at + max(size - 1, 0)


def init_producer_id_request() -> bytes:
    body = unsigned_varint(0) + struct.pack(">iqh", 60_000, -1, -1) + b"\x00"
    return framed(_INIT_PRODUCER_ID, _INIT_PRODUCER_ID_VERSION, body, flexible=True)


def read_producer(answer: bytes) -> tuple[int, ProducerState]:
    """The error code and the producer of an InitProducerId answer, given without its length."""
    error, producer_id, epoch = struct.unpack_from(">hqh", answer, 4 + 1 + 4)
    return error, ProducerState(producer_id, epoch, 0)
