"""Records of a client's batch on topics that look inside: keys, times, codecs, and what does not decompress."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.log.validation import CheckedBatch, RecordError, check_records, needs_records
from mainstem.model import batch_records, records
from mainstem.model.batch import HEADER_BYTES, build, crc_matches, read_header
from mainstem.model.compression import Codec, CorruptRecords, RecordsTooLarge, compress, decompress
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode

NOW_MS = 1_700_000_000_000
NAMES = {"uncompressed": Codec.NONE, **{c.name.lower(): c for c in Codec if c}}


def topic(**overrides: str) -> TopicConfig:
    return TopicConfig.resolve({k.replace("_", "."): v for k, v in overrides.items()}, BrokerConfig.from_texts({}))


def checked(batch: bytes, **overrides: str) -> CheckedBatch:
    return check_records(batch, read_header(batch), topic(**overrides), NOW_MS)


def batch_of(
    keys: list[bytes | None], codec: Codec = Codec.NONE, times: list[int] | None = None, **fields: Any
) -> bytes:
    return records.encode(keys, [b"value" * 20] * len(keys), times or [NOW_MS] * len(keys), codec=codec, **fields)


def test_only_topics_that_need_it_are_looked_into() -> None:
    assert not needs_records(topic())
    assert needs_records(topic(cleanup_policy="compact,delete"))
    assert needs_records(topic(compression_type="zstd"))


@pytest.mark.parametrize("codec", list(Codec))
def test_records_without_a_key_are_named_on_compacted_topics(codec: Codec) -> None:
    refused = checked(batch_of([b"a", None, b"c", None], codec), cleanup_policy="compact")
    assert refused.error is ErrorCode.INVALID_RECORD
    text = "a compacted topic takes no record without a key"
    assert list(refused.record_errors) == [RecordError(1, text), RecordError(3, text)]
    assert "2 of the batch's records" in str(refused.message)
    assert checked(batch_of([b"a", None], codec), compression_type="gzip").error is ErrorCode.NONE


@pytest.mark.parametrize("name", list(NAMES))
@pytest.mark.parametrize("codec", list(Codec))
def test_batch_is_written_in_the_codec_of_its_topic(codec: Codec, name: str) -> None:
    sent = batch_of([b"k%d" % n for n in range(40)], codec, producer_id=7, producer_epoch=1, base_sequence=5)
    result = checked(sent, compression_type=name)
    assert result.error is ErrorCode.NONE
    assert result.header.codec == NAMES[name]
    if codec is NAMES[name]:
        assert result.batch is sent
    assert crc_matches(result.batch, 0, result.header)
    assert records.decode(bytes(result.batch)) == records.decode(sent)
    kept = ("producer_id", "producer_epoch", "base_sequence", "last_offset_delta", "records_count", "max_timestamp")
    assert [getattr(result.header, f) for f in kept] == [getattr(read_header(sent), f) for f in kept]


def test_size_is_checked_in_the_codec_of_the_topic() -> None:
    sent = batch_of([b"k%d" % n for n in range(100)], Codec.ZSTD)
    assert len(sent) < 1000
    refused = checked(sent, compression_type="uncompressed", max_message_bytes="1000")
    assert refused.error is ErrorCode.MESSAGE_TOO_LARGE


def test_each_record_must_be_of_its_time() -> None:
    # The header says little of records in the middle.
    sent = batch_of([b"a", b"b", b"c"], times=[NOW_MS, NOW_MS - 10_000, NOW_MS])
    refused = checked(sent, cleanup_policy="compact", message_timestamp_before_max_ms="5000")
    assert refused.error is ErrorCode.INVALID_TIMESTAMP
    assert [e.batch_index for e in refused.record_errors] == [1]
    stamped = checked(
        sent, cleanup_policy="compact", message_timestamp_before_max_ms="5000", message_timestamp_type="LogAppendTime"
    )
    assert stamped.error is ErrorCode.NONE


@pytest.mark.parametrize("codec", [c for c in Codec if c])
def test_garbage_in_place_of_compressed_records_is_refused(codec: Codec) -> None:
    sent = batch_of([b"a", b"b"], codec)
    for body in (b"garbage", sent[HEADER_BYTES:-3], compress(codec, b"\xff" * 40), b""):
        damaged = build(read_header(sent), body)
        assert checked(damaged, cleanup_policy="compact").error is ErrorCode.INVALID_RECORD


@pytest.mark.parametrize("codec", [c for c in Codec if c])
def test_batch_that_would_explode_is_refused(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_records, "DECOMPRESSED_BYTES_MAX", 1_000_000)
    bomb = build(read_header(batch_of([b"a"], codec)), compress(codec, bytes(20_000_000)))
    refused = checked(bomb, cleanup_policy="compact")
    assert refused.error is ErrorCode.INVALID_RECORD
    assert "decompress to more than" in str(refused.message)


@pytest.mark.parametrize("codec", [c for c in Codec if c])
def test_bounded_decompression_gives_the_same_bytes(codec: Codec) -> None:
    for size in (0, 1, 65_536, 70_000, 3_000_000):
        data = b"abcdefgh" * (size // 8)
        packed = compress(codec, data)
        assert decompress(codec, packed, bytes_max=len(data)) == decompress(codec, packed) == data
        if data:
            with pytest.raises(RecordsTooLarge):
                decompress(codec, packed, bytes_max=len(data) - 1)


@given(st.sampled_from(list(Codec)), st.binary(max_size=200))
def test_any_bytes_are_refused_or_read_but_nothing_breaks(codec: Codec, body: bytes) -> None:
    batch = build(read_header(batch_of([b"a"]))._replace(attributes=codec), body)
    try:
        batch_records.read_records(batch, read_header(batch))
    except CorruptRecords:
        pass


def test_offset_deltas_that_are_not_in_order_are_refused() -> None:
    plain = bytearray(batch_of([b"a", b"b"]))
    # The offset delta of the second record stands before the length of its key.
    second = plain.index(b"\x02b") - 1
    plain[second] = 8
    damaged = build(read_header(plain), bytes(plain[HEADER_BYTES:]))
    refused = checked(damaged, cleanup_policy="compact")
    assert (refused.error, [e.batch_index for e in refused.record_errors]) == (ErrorCode.INVALID_RECORD, [1])
