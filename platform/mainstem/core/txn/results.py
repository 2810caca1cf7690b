"""What a transaction coordinator answers. `error` NONE and the other fields, or an error and their defaults."""

from __future__ import annotations

import msgspec

from mainstem.core.txn.records import TransactionStored
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID, TopicPartition


class ProducerResult(msgspec.Struct, frozen=True, kw_only=True):
    """Of InitProducerId and EndTxn. `needs_producer_id`: nothing was done, ask again with a fresh id."""

    error: ErrorCode = ErrorCode.NONE
    producer_id: int = NO_PRODUCER_ID
    producer_epoch: int = -1
    needs_producer_id: bool = False


class PartitionsResult(msgspec.Struct, frozen=True, kw_only=True):
    """`error` for all partitions alike, `errors` for those that differ."""

    error: ErrorCode = ErrorCode.NONE
    errors: dict[TopicPartition, ErrorCode] = {}

    def error_of(self, partition: TopicPartition) -> ErrorCode:
        return self.errors.get(partition, self.error)


class DescribeResult(msgspec.Struct, frozen=True, kw_only=True):
    """`transaction` is None with an error."""

    error: ErrorCode = ErrorCode.NONE
    transaction: TransactionStored | None = None


class ListResult(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorCode = ErrorCode.NONE
    transactions: tuple[TransactionStored, ...] = ()
