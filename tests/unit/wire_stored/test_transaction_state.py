"""Records of `__transaction_state` <-> bytes: a log that Apache Kafka 4.1 wrote, against its own DumpLogSegments, and our own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.txn.records import TransactionRecord, TransactionRemoved, TransactionState, TransactionStored
from mainstem.model.ids import TopicPartition
from mainstem.model.records import decode
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.stored import transaction_log
from mainstem.wire.stored.layout import encode
from mainstem.wire.stored.transaction_log import TransactionLogValue
from mainstem.wire.stored.transaction_state import KeyValue, decode_record, encode_record

DATA = Path(__file__).parents[2] / "data" / "kafka-4.1-log"
LOG = DATA / "__transaction_state-14" / "00000000000000000000.log"
DUMPED = DATA / "expected" / "__transaction_state-14.txt"
KEY = encode_record(TransactionRemoved(transactional_id="tx")).key

int32 = st.integers(0, 2**31 - 1)
int64 = st.integers(0, 2**63 - 1)
epochs = st.integers(0, 2**15 - 1)
partitions = st.sets(st.builds(TopicPartition, st.sampled_from(["a", "b", "orders"]), int32), max_size=5)


@st.composite
def transactions(draw: st.DrawFn) -> TransactionStored:
    state = draw(st.sampled_from(list(TransactionState)))
    return TransactionStored(
        transactional_id=draw(st.text(max_size=20)),
        producer_id=draw(int64),
        producer_epoch=draw(epochs),
        timeout_ms=draw(int32),
        state=state,
        updated_at_ms=draw(int64),
        started_at_ms=draw(st.integers(-1, 2**63 - 1)),
        partitions=() if state is TransactionState.EMPTY else tuple(sorted(draw(partitions))),
        previous_producer_id=draw(int64),
        next_producer_id=draw(st.integers(-1, 2**63 - 1)),
        client_version=draw(st.integers(0, 2)),
    )


@given(st.one_of(transactions(), st.builds(TransactionRemoved, transactional_id=st.text(max_size=20))))
def test_what_is_written_is_read_back(record: TransactionRecord) -> None:
    assert decode_record(*encode_record(record)) == record


def stored_records() -> dict[int, KeyValue]:
    columns = decode(LOG.read_bytes())
    return {
        offset: KeyValue(key or b"", value)
        for offset, key, value in zip(columns.offsets, columns.keys, columns.values, strict=True)
    }


def dumped_values() -> dict[int, dict[str, Any]]:
    """Offset -> payload as Kafka's tool printed it."""
    found = {}
    for line in DUMPED.read_text().splitlines():
        if line.startswith("| offset"):
            head, payload = line.split(" payload: ")
            offset = re.match(r"\| offset: (\d+) ", head)
            assert offset is not None
            assert json.loads(head.split(" key: ")[1])["data"] == {"transactionalId": "golden-tx"}
            found[int(offset[1])] = json.loads(payload)["data"]
    return found


def test_every_record_reads_as_kafka_prints_it() -> None:
    stored, dumped = stored_records(), dumped_values()
    assert stored.keys() == dumped.keys()
    for offset, data in dumped.items():
        record = decode_record(*stored[offset])
        assert isinstance(record, TransactionStored)
        listed = data["transactionPartitions"] or []
        assert record == TransactionStored(
            transactional_id="golden-tx",
            producer_id=data["producerId"],
            producer_epoch=data["producerEpoch"],
            timeout_ms=data["transactionTimeoutMs"],
            state=TransactionState(data["transactionStatus"]),
            updated_at_ms=data["transactionLastUpdateTimestampMs"],
            started_at_ms=data["transactionStartTimestampMs"],
            partitions=tuple(TopicPartition(t["topic"], p) for t in listed for p in t["partitionIds"]),
            previous_producer_id=data["producerId"],
            client_version=data.get("clientTransactionVersion", 0),
        )


def test_every_record_is_written_byte_for_byte_as_kafka_wrote_it() -> None:
    originals = stored_records().values()
    for original in originals:
        record = decode_record(*original)
        assert record is not None
        assert encode_record(record) == original
    states = {record.state for kv in originals if isinstance(record := decode_record(*kv), TransactionStored)}
    assert {0, 1, 2, 3, 4, 5} >= states >= {0, 1, 2, 4}, "a golden test over one-sided data proves nothing"


def test_version_0_is_read() -> None:
    value = encode(transaction_log.VALUE, 0, TransactionLogValue(producer_id=5, transaction_partitions=None))
    record = decode_record(KEY, value)
    assert isinstance(record, TransactionStored)
    assert (record.producer_id, record.client_version, record.next_producer_id) == (5, 0, -1)


def test_other_record_types_are_left_alone() -> None:
    assert decode_record(b"\x00\x01whatever", b"") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b""),
        (b"", b""),
        (b"\x00", b""),
        (KEY[:-1], None),
        (KEY + b"x", None),
        (KEY, b""),
        (KEY, b"\x00\x02"),
        (KEY, encode(transaction_log.VALUE, 1, TransactionLogValue())[:-1]),
        (KEY, encode(transaction_log.VALUE, 1, TransactionLogValue()) + b"\x00"),
        (KEY, encode(transaction_log.VALUE, 1, TransactionLogValue(transaction_status=8))),
        (KEY, encode(transaction_log.VALUE, 0, TransactionLogValue(transaction_status=-1))),
    ],
)
def test_garbled_records_are_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(MalformedMessage):
        decode_record(key, value)
