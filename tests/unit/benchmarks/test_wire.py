"""The load generator's own encoders and readers against the codec of the broker."""

from __future__ import annotations

import pytest
import wire
import wire_newer
import wire_setup
from load_produce import check_answers
from wire import FetchLimits, ProducerState, TopicName

from mainstem.model import batch as model
from mainstem.wire import hot_fetch, hot_produce
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.codec import RequestHeader, decode, decode_header, encode_response, request_schema
from mainstem.wire.messages.init_producer_id import InitProducerIdResponse
from mainstem.wire.messages.metadata import MetadataResponse, MetadataResponseBroker, MetadataResponseTopic

TOPIC = TopicName("orders", bytes(range(16)))
VALUES = wire.random_values(3, 100)


def header_of(frame: bytes, api: ApiKey) -> tuple[RequestHeader, memoryview]:
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    view = memoryview(frame)[4:]
    return decode_header(view, FLEXIBLE_FROM[api]), view


def produced(frame: bytes) -> tuple[RequestHeader, hot_produce.ProduceRequest]:
    header, view = header_of(frame, ApiKey.PRODUCE)
    return header, hot_produce.decode_request(view, header.body, header.api_version)


def fetched(frame: bytes) -> tuple[RequestHeader, hot_fetch.FetchRequest]:
    header, view = header_of(frame, ApiKey.FETCH)
    return header, hot_fetch.decode_request(view, header.body, header.api_version)


@pytest.mark.parametrize("producer", [ProducerState(), ProducerState(4_000, 2, 77)])
def test_a_batch_is_what_the_log_takes(producer: ProducerState) -> None:
    batch = wire.record_batch(VALUES, 1_234, producer)
    header = model.read_header(batch)
    assert (header.size, header.magic, header.records_count, header.last_offset_delta) == (len(batch), 2, 3, 2)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (
        producer.producer_id,
        producer.epoch,
        producer.sequence,
    )
    assert model.crc_matches(batch, 0, header)


@pytest.mark.parametrize("acks", [0, 1, -1])
def test_produce_requests_are_read_as_they_were_meant(acks: int) -> None:
    batch = wire.record_batch(VALUES, 0)
    for frame, version, topic in (
        (wire.produce_7(TOPIC, 5, acks, batch), 7, b"orders"),
        (wire_newer.produce_13(TOPIC, 5, acks, batch), 13, TOPIC.topic_id),
    ):
        header, request = produced(frame)
        assert (header.api_version, header.client_id) == (version, "bench")
        assert (request.transactional_id, request.acks) == (None, acks)
        assert request.topics == [(topic, [(5, batch)])]


def test_sequenced_frames_go_on_where_the_last_one_ended() -> None:
    """More than the ring holds, taken in uneven pieces, over the border between the halves of a sequence."""
    start = 65_535 - 3 * 4
    frames = wire_newer.SequencedFrames(TOPIC, 0, 1, VALUES, ProducerState(9, 1, start), slots=4)
    expected = start
    for count in (1, 2, 3, 4, 1):
        pieces = b"".join(frames.take(count))
        for at in range(0, len(pieces), frames.frame_bytes):
            _, request = produced(pieces[at : at + frames.frame_bytes])
            records = request.topics[0].partitions[0].records
            assert records is not None
            header = model.read_header(records)
            assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 1, expected)
            assert model.crc_matches(records, 0, header)
            expected += len(VALUES)


def test_a_refused_request_is_sent_again_with_its_sequence() -> None:
    frames = wire_newer.SequencedFrames(TOPIC, 0, 1, VALUES, ProducerState(9, 1, 0), slots=1)
    first = bytes(frames.take(1)[0])
    frames.was_refused()
    assert bytes(frames.take(1)[0]) == first


@pytest.mark.parametrize(
    ("version", "topic", "layout"),
    [(7, b"orders", wire.produce_7_answer(TOPIC)), (13, TOPIC.topic_id, wire_newer.produce_13_answer())],
)
def test_answers_to_produce_are_where_they_are_looked_for(
    version: int, topic: bytes, layout: wire.ProduceAnswer
) -> None:
    def answer(error: int) -> bytes:
        result = hot_produce.PartitionResult(0, error, 0x0102030405060708, -1, 0)
        return hot_produce.encode_response(0, version, [hot_produce.TopicResult(topic, [result])])

    good, bad = answer(0), answer(29)
    assert len(good) == layout.frame_bytes
    assert good[layout.base_offset_at :][:8] == bytes([1, 2, 3, 4, 5, 6, 7, 8])
    check_answers(bytearray(good * 3), 3, layout)
    with pytest.raises(ValueError, match=r"errors \[29\]"):
        check_answers(bytearray(good + bad + good), 3, layout)


LIMITS = FetchLimits(max_bytes=65_536, min_bytes=7, max_wait_ms=300)


@pytest.mark.parametrize(("kind", "topic"), [(wire.Fetch11, b"orders"), (wire_newer.Fetch18, TOPIC.topic_id)])
def test_fetch_requests_are_read_as_they_were_meant(kind: type[wire.Fetch], topic: bytes) -> None:
    _, request = fetched(kind(TOPIC, 5, LIMITS).at(1_000))  # type: ignore[call-arg]  # a protocol has no constructor
    assert (request.max_wait_ms, request.min_bytes, request.max_bytes, request.rack_id) == (300, 7, 65_536, "")
    assert request.topics == [(topic, [(5, -1, 1_000, -1, -1, 65_536)])]
    assert request.forgotten == []


def fetch_answer(version: int, topic: bytes, records: bytes, *, session_id: int = 0, error: int = 0) -> memoryview:
    row = hot_fetch.FetchedPartition(5, error, 9, 9, 0, records, [(1, 2)])
    buffers = hot_fetch.encode_response(0, version, 0, session_id, [hot_fetch.FetchedTopic(topic, [row])])
    return memoryview(b"".join(buffers))


def test_records_of_an_answer_are_found() -> None:
    batch = wire.record_batch(VALUES, 0)
    assert wire.Fetch11(TOPIC, 5, LIMITS).records(fetch_answer(11, b"orders", batch)) == batch
    assert wire_newer.Fetch18(TOPIC, 5, LIMITS).records(fetch_answer(18, TOPIC.topic_id, batch)) == batch
    for fetch, answer in (
        (wire.Fetch11(TOPIC, 5, LIMITS), fetch_answer(11, b"orders", b"", error=1)),
        (wire_newer.Fetch18(TOPIC, 5, LIMITS), fetch_answer(18, TOPIC.topic_id, b"", error=1)),
    ):
        with pytest.raises(ValueError, match="error 1"):
            fetch.records(answer)


def test_a_session_that_is_offered_is_joined_and_goes_on_by_epochs() -> None:
    fetch = wire_newer.Fetch18(TOPIC, 5, LIMITS)
    seen = []
    for _ in range(3):
        _, request = fetched(fetch.at(0))
        seen.append((request.session_id, request.session_epoch))
        fetch.records(fetch_answer(18, TOPIC.topic_id, b"", session_id=55))
    assert seen == [(0, 0), (55, 1), (55, 2)]
    assert fetch.in_session
    empty = memoryview(b"".join(hot_fetch.encode_response(0, 18, 0, 55, [])))
    assert fetch.records(empty) == b""
    with pytest.raises(ValueError, match="session 55 was answered as session 56"):
        fetch.records(fetch_answer(18, TOPIC.topic_id, b"", session_id=56))


def test_without_a_session_each_request_is_a_full_one() -> None:
    fetch = wire_newer.Fetch18(TOPIC, 5, LIMITS)
    for _ in range(2):
        _, request = fetched(fetch.at(0))
        assert (request.session_id, request.session_epoch) == (0, 0)
        fetch.records(fetch_answer(18, TOPIC.topic_id, b""))
    assert not fetch.in_session


def test_uniform_batches_are_counted_and_checked() -> None:
    batch = bytearray(wire.record_batch(VALUES, 0))
    run = bytearray()
    for base_offset in (30, 33, 36):
        model.patch_offset(batch, 0, base_offset, 0)
        run += batch
    uniform = wire.UniformBatches(len(batch), 3)
    assert uniform.count(memoryview(run[:-1]), 30) == 2
    assert uniform.count(memoryview(run), 30) == 3
    assert uniform.count(memoryview(b""), 30) == 0
    with pytest.raises(ValueError, match="begins at offset 30"):
        uniform.count(memoryview(run), 27)


def test_the_topic_id_is_found_in_an_answer_to_metadata() -> None:
    header, view = header_of(wire_setup.metadata_request("orders"), ApiKey.METADATA)
    request = decode(request_schema(ApiKey.METADATA), header.api_version, view, header.body)
    assert [each.name for each in request.topics] == ["orders"]  # type: ignore[attr-defined]  # a MetadataRequest
    answer = MetadataResponse(
        brokers=[MetadataResponseBroker(node_id=1, host="localhost", port=9092, rack="a")],
        cluster_id="cluster",
        topics=[MetadataResponseTopic(name="orders", topic_id=TOPIC.topic_id)],
    )
    frame = encode_response(ApiKey.METADATA, header.api_version, 0, answer)
    assert wire_setup.read_topic_id(frame[4:]) == (0, TOPIC.topic_id)


def test_the_producer_id_is_found_in_an_answer_to_init_producer_id() -> None:
    header, _ = header_of(wire_setup.init_producer_id_request(), ApiKey.INIT_PRODUCER_ID)
    answer = InitProducerIdResponse(producer_id=4_000, producer_epoch=3)
    frame = encode_response(ApiKey.INIT_PRODUCER_ID, header.api_version, 0, answer)
    assert wire_setup.read_producer(frame[4:]) == (0, ProducerState(4_000, 3, 0))
