"""Requests that repeat: the quick reader finds in them what the general one finds, and its answers are the general ones."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.wire import codec
from mainstem.wire.apis import ApiKey
from mainstem.wire.hot_produce import PartitionResult, TopicResult, decode_request, encode_response
from mainstem.wire.hot_produce_shape import RUN_REQUESTS_MAX, ProduceShape, learn
from mainstem.wire.messages import produce

VERSIONS = range(3, 14)
CLIENT_ID = b"client"
TOPIC_ID = bytes(range(16))


def body_at(version: int) -> int:
    return 10 + len(CLIENT_ID) + (version >= 9)


def frame(
    version: int, correlation_id: int, partition: int, records: bytes, *, topic: str = "orders", acks: int = 1
) -> bytes:
    """A whole request with its length, as a client sends it."""
    message = produce.ProduceRequest(
        acks=acks,
        timeout_ms=30_000,
        topic_data=[
            produce.TopicProduceData(
                name=topic,
                topic_id=TOPIC_ID,
                partition_data=[produce.PartitionProduceData(index=partition, records=records)],
            )
        ],
    )
    head = struct.pack(">hhih", ApiKey.PRODUCE, version, correlation_id, len(CLIENT_ID)) + CLIENT_ID
    body = (b"\0" if version >= 9 else b"") + codec.encode(codec.request_schema(ApiKey.PRODUCE), version, message)
    return struct.pack(">i", len(head) + len(body)) + head + body


def shape_of(version: int, whole: bytes) -> ProduceShape:
    view = memoryview(whole)[4:]
    found = learn(view, version, decode_request(view, body_at(version), version))
    assert found is not None
    return found


@pytest.mark.parametrize("version", VERSIONS)
@settings(deadline=None, max_examples=40)
@given(
    data=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2**31 - 1), st.binary(max_size=300)), min_size=1, max_size=8
    ),
    cut=st.integers(0, 400),
)
def test_runs_hold_what_the_general_decoder_finds(version: int, data: list[tuple[int, int, bytes]], cut: int) -> None:
    requests = [frame(version, correlation, index, records) for index, correlation, records in data]
    shape = shape_of(version, requests[0])
    buffer = bytearray(b"before" + b"".join(requests))
    end = max(6, len(buffer) - cut)
    found, position = [], 6
    while (run := shape.scan(buffer, memoryview(buffer), position, end)) is not None:
        found += [(run.partition, c, bytes(r)) for c, r in zip(run.correlation_ids, run.records, strict=True)]
        position = run.end
    whole, at = 0, 6
    for request in requests:
        at += len(request)
        whole += at <= end
    assert found == data[:whole]
    assert position == 6 + sum(map(len, requests[:whole]))


@pytest.mark.parametrize("version", VERSIONS)
def test_another_shape_is_left_to_the_general_decoder(version: int) -> None:
    shape = shape_of(version, frame(version, 1, 0, b"records"))
    others = [frame(version, 1, 0, b"records", acks=-1)]
    if version < 13:
        others.append(frame(version, 1, 0, b"records", topic="others"))
    if version != 3:
        others.append(frame(version - 1, 1, 0, b"records"))
    for other in others:
        buffer = bytearray(other)
        assert shape.scan(buffer, memoryview(buffer), 0, len(buffer)) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_size_that_does_not_reach_just_to_the_end_is_left_to_the_general_decoder(version: int) -> None:
    """Whatever a client claims about the size of its records: the quick reader takes no byte that is not theirs."""
    whole = frame(version, 1, 0, b"r" * 100)
    shape = shape_of(version, whole)
    size_at = whole.index(b"r" * 100) - (1 if version >= 9 else 4)
    for claimed in (0, 1, 99, 102, 127):
        buffer = bytearray(whole)
        if version >= 9:
            buffer[size_at] = claimed
        else:
            struct.pack_into(">i", buffer, size_at, claimed)
        if claimed != 100 + (version >= 9):
            assert shape.scan(buffer, memoryview(buffer), 0, len(buffer)) is None


@pytest.mark.parametrize("version", range(9, 14))
def test_tagged_fields_behind_the_records_are_left_to_the_general_decoder(version: int) -> None:
    whole = bytearray(frame(version, 1, 0, b"records"))
    shape = shape_of(version, bytes(whole))
    whole[-1:] = b"\x01\x05\x01\x00"
    struct.pack_into(">i", whole, 0, len(whole) - 4)
    assert shape.scan(whole, memoryview(whole), 0, len(whole)) is None


def test_a_run_is_bounded() -> None:
    request = frame(7, 1, 0, b"r")
    buffer = bytearray(request * (RUN_REQUESTS_MAX + 10))
    run = shape_of(7, request).scan(buffer, memoryview(buffer), 0, len(buffer))
    assert run is not None
    assert len(run.records) == RUN_REQUESTS_MAX


@pytest.mark.parametrize("version", VERSIONS)
@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1)), min_size=1, max_size=5),
    partition=st.integers(0, 2**31 - 1),
    start=st.integers(0, 2**63 - 1),
)
def test_replies_are_those_of_the_general_encoder(
    version: int, rows: list[tuple[int, int]], partition: int, start: int
) -> None:
    shape = shape_of(version, frame(version, 1, 0, b"records"))
    written = shape.pack_replies(partition, [c for c, _ in rows], [o for _, o in rows], start)
    expected = b"".join(
        encode_response(
            correlation, version, [TopicResult(shape.topic, [PartitionResult(partition, 0, offset, -1, start)])]
        )
        for correlation, offset in rows
    )
    assert bytes(written) == expected
