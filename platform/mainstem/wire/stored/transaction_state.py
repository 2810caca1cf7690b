"""Records of `__transaction_state`: Kafka's bytes <-> the values that core.txn persists. Writes version 1, reads 0 and 1.

Kafka 4.1 never writes the previous and the next producer id, though its schema has them. We write them where a producer id was
used up, without which a coordinator that takes over in that moment would not know the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from mainstem.core.txn.records import TransactionRecord, TransactionRemoved, TransactionState, TransactionStored
from mainstem.model.ids import NO_PRODUCER_ID, TopicPartition
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.stored import transaction_log
from mainstem.wire.stored.layout import decode, encode, read_version
from mainstem.wire.stored.transaction_log import PartitionsSchema, TransactionLogKey, TransactionLogValue

TRANSACTION_TYPE = 0
VALUE_VERSION = 1


class KeyValue(NamedTuple):
    """`value` None is a tombstone."""

    key: bytes
    value: bytes | None


def encode_record(record: TransactionRecord) -> KeyValue:
    raw_key = encode(transaction_log.KEY, TRANSACTION_TYPE, TransactionLogKey(transactional_id=record.transactional_id))
    if isinstance(record, TransactionRemoved):
        return KeyValue(raw_key, None)
    is_rotated = record.previous_producer_id != record.producer_id
    value = TransactionLogValue(
        producer_id=record.producer_id,
        previous_producer_id=record.previous_producer_id if is_rotated else NO_PRODUCER_ID,
        next_producer_id=record.next_producer_id,
        producer_epoch=record.producer_epoch,
        transaction_timeout_ms=record.timeout_ms,
        transaction_status=int(record.state),
        transaction_partitions=None if record.state is TransactionState.EMPTY else _by_topic(record.partitions),
        transaction_last_update_timestamp_ms=record.updated_at_ms,
        transaction_start_timestamp_ms=record.started_at_ms,
        client_transaction_version=record.client_version,
    )
    return KeyValue(raw_key, encode(transaction_log.VALUE, VALUE_VERSION, value))


def decode_record(key: bytes | None, value: bytes | None) -> TransactionRecord | None:
    """None for record types of later features. Raises: MalformedMessage."""
    if key is None:
        raise MalformedMessage("a record of __transaction_state has no key")
    if read_version(key) != TRANSACTION_TYPE:
        return None
    decoded = decode(transaction_log.KEY, key)
    assert isinstance(decoded, TransactionLogKey)
    if value is None:
        return TransactionRemoved(transactional_id=decoded.transactional_id)
    stored = decode(transaction_log.VALUE, value)
    assert isinstance(stored, TransactionLogValue)
    try:
        state = TransactionState(stored.transaction_status)
    except ValueError:
        raise MalformedMessage(f"a transaction has no state {stored.transaction_status}") from None
    return TransactionStored(
        transactional_id=decoded.transactional_id,
        producer_id=stored.producer_id,
        producer_epoch=stored.producer_epoch,
        timeout_ms=stored.transaction_timeout_ms,
        state=state,
        updated_at_ms=stored.transaction_last_update_timestamp_ms,
        started_at_ms=stored.transaction_start_timestamp_ms,
        partitions=tuple(
            TopicPartition(topic.topic, partition)
            for topic in stored.transaction_partitions or ()
            for partition in topic.partition_ids
        ),
        previous_producer_id=stored.producer_id
        if stored.previous_producer_id == NO_PRODUCER_ID
        else stored.previous_producer_id,
        next_producer_id=stored.next_producer_id,
        client_version=stored.client_transaction_version,
    )


def _by_topic(partitions: Sequence[TopicPartition]) -> list[PartitionsSchema]:
    """Runs of one topic, in the order they are in."""
    return [
        PartitionsSchema(topic=topic, partition_ids=[p.partition for p in run])
        for topic, run in groupby(partitions, key=lambda p: p.topic)
    ]
