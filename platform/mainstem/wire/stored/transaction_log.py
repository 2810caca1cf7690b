"""Record type 0 of `__transaction_state`: an id and its latest transaction. As schemas/records/TransactionLog*.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mainstem.wire.schema import Field, Message
from mainstem.wire.stored.layout import StoredSchema


class TransactionLogKey(Message, frozen=True, kw_only=True):
    transactional_id: str = ""

    layout: ClassVar[tuple[Field, ...]] = (Field("transactional_id", "string", 0, 0, None, None),)


class PartitionsSchema(Message, frozen=True, kw_only=True):
    topic: str = ""
    partition_ids: Sequence[int] = ()

    layout: ClassVar[tuple[Field, ...]] = (
        Field("topic", "string", 0, 1, None, None),
        Field("partition_ids", "[]int32", 0, 1, None, None),
    )


class TransactionLogValue(Message, frozen=True, kw_only=True):
    """Times in ms. `transaction_partitions` is None in state Empty (0)."""

    producer_id: int = 0
    previous_producer_id: int = -1
    next_producer_id: int = -1
    producer_epoch: int = 0
    next_producer_epoch: int = -1
    transaction_timeout_ms: int = 0
    transaction_status: int = 0
    transaction_partitions: Sequence[PartitionsSchema] | None = ()
    transaction_last_update_timestamp_ms: int = 0
    transaction_start_timestamp_ms: int = 0
    client_transaction_version: int = 0

    layout: ClassVar[tuple[Field, ...]] = (
        Field("producer_id", "int64", 0, 1, None, None),
        Field("previous_producer_id", "int64", 1, 1, None, 0),
        Field("next_producer_id", "int64", 1, 1, None, 1),
        Field("producer_epoch", "int16", 0, 1, None, None),
        Field("next_producer_epoch", "int16", 1, 1, None, 3),
        Field("transaction_timeout_ms", "int32", 0, 1, None, None),
        Field("transaction_status", "int8", 0, 1, None, None),
        Field("transaction_partitions", "[]PartitionsSchema", 0, 1, (0, 1), None),
        Field("transaction_last_update_timestamp_ms", "int64", 0, 1, None, None),
        Field("transaction_start_timestamp_ms", "int64", 0, 1, None, None),
        Field("client_transaction_version", "int16", 1, 1, None, 2),
    )


KEY = StoredSchema(TransactionLogKey, versions=(0, 0), flexible_from=None)
VALUE = StoredSchema(TransactionLogValue, versions=(0, 1), flexible_from=1)
