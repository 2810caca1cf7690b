"""The hand-written Produce and Fetch codecs agree with the table-driven ones (and those with kio) in every version."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.wire import codec, hot_fetch, hot_produce
from mainstem.wire.apis import ApiKey
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.messages import fetch, produce

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
NAME = st.text(max_size=20)
UUID = st.binary(min_size=16, max_size=16)
RECORDS = st.none() | st.binary(max_size=400)


def produce_topics() -> st.SearchStrategy[list[produce.TopicProduceData]]:
    partition = st.builds(produce.PartitionProduceData, index=INT32, records=RECORDS)
    topic = st.builds(
        produce.TopicProduceData, name=NAME, topic_id=UUID, partition_data=st.lists(partition, max_size=3)
    )
    return st.lists(topic, max_size=3)


@pytest.mark.parametrize("version", range(3, 14))
@given(
    transactional_id=st.none() | NAME,
    acks=st.integers(-(2**15), 2**15 - 1),
    timeout_ms=INT32,
    topics=produce_topics(),
    padding=st.binary(max_size=5),
)
def test_produce_request_is_read_as_the_tables_say(
    version: int, transactional_id: str | None, acks: int, timeout_ms: int, topics: list, padding: bytes
) -> None:
    message = produce.ProduceRequest(
        transactional_id=transactional_id, acks=acks, timeout_ms=timeout_ms, topic_data=topics
    )
    frame = padding + codec.encode(produce.REQUEST, version, message)
    read = hot_produce.decode_request(memoryview(frame), len(padding), version)
    assert (read.transactional_id, read.acks, read.timeout_ms) == (transactional_id, acks, timeout_ms)
    expected = [
        (
            topic.topic_id if version >= 13 else topic.name.encode(),
            [(p.index, p.records) for p in topic.partition_data],
        )
        for topic in topics
    ]
    assert [(t, [(i, None if r is None else bytes(r)) for i, r in ps]) for t, ps in read.topics] == expected


RECORD_ERRORS = st.lists(st.tuples(INT32, st.none() | NAME), max_size=2)


@pytest.mark.parametrize("version", range(14))
@given(
    topics=st.lists(
        st.tuples(
            NAME,
            UUID,
            st.lists(
                st.tuples(INT32, st.integers(-1, 100), INT64, INT64, INT64, st.none() | NAME, RECORD_ERRORS), max_size=3
            ),
        ),
        max_size=3,
    ),
    correlation_id=INT32,
)
def test_produce_response_is_written_as_the_tables_say(version: int, topics: list, correlation_id: int) -> None:
    written = hot_produce.encode_response(
        correlation_id,
        version,
        [
            hot_produce.TopicResult(
                topic_id if version >= 13 else name.encode(), [hot_produce.PartitionResult(*row) for row in rows]
            )
            for name, topic_id, rows in topics
        ],
    )
    if version < 3:
        # The tables begin at v3; v0 has no times, v1 adds the throttle time, v2 the append time.
        size = 4 + sum(2 + len(name.encode()) + 4 + len(rows) * (14 + 8 * (version >= 2)) for name, _, rows in topics)
        assert len(written) == 8 + size + 4 * (version >= 1)
        return
    message = produce.ProduceResponse(
        responses=[
            produce.TopicProduceResponse(
                name=name,
                topic_id=topic_id,
                partition_responses=[
                    produce.PartitionProduceResponse(
                        index=i,
                        error_code=e,
                        base_offset=b,
                        log_append_time_ms=t,
                        log_start_offset=s,
                        error_message=m,
                        record_errors=[
                            produce.BatchIndexAndErrorMessage(batch_index=n, batch_index_error_message=text)
                            for n, text in errors
                        ],
                    )
                    for i, e, b, t, s, m, errors in rows
                ],
            )
            for name, topic_id, rows in topics
        ]
    )
    assert written == codec.encode_response(ApiKey.PRODUCE, version, correlation_id, message)


@pytest.mark.parametrize("version", range(4, 19))
@given(data=st.data())
def test_fetch_request_is_read_as_the_tables_say(version: int, data: st.DataObject) -> None:
    partition = st.builds(
        fetch.FetchPartition,
        partition=INT32,
        current_leader_epoch=INT32,
        fetch_offset=INT64,
        last_fetched_epoch=INT32,
        log_start_offset=INT64,
        partition_max_bytes=INT32,
        replica_directory_id=UUID,
    )
    topic = st.builds(fetch.FetchTopic, topic=NAME, topic_id=UUID, partitions=st.lists(partition, max_size=3))
    forgotten = st.builds(fetch.ForgottenTopic, topic=NAME, topic_id=UUID, partitions=st.lists(INT32, max_size=3))
    replica = data.draw(st.sampled_from([-1, 7]))
    message = data.draw(
        st.builds(
            fetch.FetchRequest,
            replica_id=st.just(replica),
            replica_state=st.just(fetch.ReplicaState(replica_id=replica)),
            max_wait_ms=INT32,
            min_bytes=INT32,
            max_bytes=INT32,
            isolation_level=st.integers(0, 1),
            session_id=INT32,
            session_epoch=INT32,
            topics=st.lists(topic, max_size=3),
            forgotten_topics_data=st.lists(forgotten, max_size=2),
            rack_id=NAME,
        )
    )
    read = hot_fetch.decode_request(memoryview(codec.encode(fetch.REQUEST, version, message)), 0, version)
    assert (read.replica_id, read.max_wait_ms, read.min_bytes, read.max_bytes, read.isolation_level) == (
        replica,
        message.max_wait_ms,
        message.min_bytes,
        message.max_bytes,
        message.isolation_level,
    )
    if version >= 7:
        assert (read.session_id, read.session_epoch) == (message.session_id, message.session_epoch)
        assert [(t, list(p)) for t, p in read.forgotten] == [
            (f.topic_id if version >= 13 else f.topic.encode(), list(f.partitions))
            for f in message.forgotten_topics_data
        ]
    assert read.rack_id == (message.rack_id if version >= 11 else "")
    assert list(read.topics) == [
        (
            t.topic_id if version >= 13 else t.topic.encode(),
            [
                (
                    p.partition,
                    p.current_leader_epoch if version >= 9 else -1,
                    p.fetch_offset,
                    p.last_fetched_epoch if version >= 12 else -1,
                    p.log_start_offset if version >= 5 else -1,
                    p.partition_max_bytes,
                )
                for p in t.partitions
            ],
        )
        for t in message.topics
    ]


@pytest.mark.parametrize("version", range(4, 19))
@given(
    topics=st.lists(
        st.tuples(
            NAME,
            UUID,
            st.lists(
                st.tuples(
                    INT32,
                    st.integers(-1, 100),
                    INT64,
                    INT64,
                    INT64,
                    st.binary(max_size=300),
                    st.none() | st.lists(st.tuples(INT64, INT64), max_size=2),
                ),
                max_size=3,
            ),
        ),
        max_size=3,
    ),
    correlation_id=INT32,
    error=st.integers(0, 100),
)
def test_fetch_response_is_written_as_the_tables_say(
    version: int, topics: list, correlation_id: int, error: int
) -> None:
    written = b"".join(
        hot_fetch.encode_response(
            correlation_id,
            version,
            error,
            5,
            [
                hot_fetch.FetchedTopic(
                    topic_id if version >= 13 else name.encode(), [hot_fetch.FetchedPartition(*row) for row in rows]
                )
                for name, topic_id, rows in topics
            ],
        )
    )
    message = fetch.FetchResponse(
        error_code=error,
        session_id=5,
        responses=[
            fetch.FetchableTopicResponse(
                topic=name,
                topic_id=topic_id,
                partitions=[
                    fetch.PartitionData(
                        partition_index=i,
                        error_code=e,
                        high_watermark=hw,
                        last_stable_offset=lso,
                        log_start_offset=start,
                        aborted_transactions=None
                        if aborted is None
                        else [fetch.AbortedTransaction(producer_id=p, first_offset=o) for p, o in aborted],
                        records=records,
                    )
                    for i, e, hw, lso, start, records, aborted in rows
                ],
            )
            for name, topic_id, rows in topics
        ],
    )
    assert written == codec.encode_response(ApiKey.FETCH, version, correlation_id, message)


@pytest.mark.parametrize("api", ["produce", "fetch"])
@given(frame=st.binary(max_size=120), version=st.integers(3, 18))
def test_garbage_is_refused_or_read_but_never_crashes(api: str, frame: bytes, version: int) -> None:
    decode = hot_produce.decode_request if api == "produce" else hot_fetch.decode_request
    try:
        decode(memoryview(frame), 0, version)
    except (MalformedMessage, struct.error, IndexError, UnicodeDecodeError):
        pass
