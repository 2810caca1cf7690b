"""Transactions of code in the same process: `api.node.LocalTransactions` on the broker's own coordinators (KIP-890).

As for a client of Produce 12, TxnOffsetCommit 5 and EndTxn 5: partitions join by being written to, and each transaction has an
epoch of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mainstem.api.node import CommittedOffset, LocalMember
from mainstem.core.group.commands import CommitTransactionalOffsets, OffsetToCommit
from mainstem.core.group.results import CommitResult
from mainstem.core.log.verification import Admission
from mainstem.core.txn.commands import EndTransaction, InitProducerId
from mainstem.core.txn.results import ProducerResult
from mainstem.model.batch import read_header
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import GROUP_OFFSETS_TOPIC
from mainstem.runtime.coordinator_topic import settled
from mainstem.runtime.groups import Groups
from mainstem.runtime.partition import Partition
from mainstem.runtime.partitions import Partitions
from mainstem.runtime.transaction_verification import Answer, TransactionVerifier, Writer
from mainstem.runtime.transactions import Transactions

R = TypeVar("R")
EPOCH_PER_TRANSACTION = 2
SEQUENCE = 0
TRIES_MAX = 500
TRY_AGAIN_S = 0.01
PASSING = frozenset(
    {
        ErrorCode.CONCURRENT_TRANSACTIONS,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionParts:
    """What a broker has that transactions need."""

    transactions: Transactions
    verifier: TransactionVerifier
    partitions: Partitions
    groups: Groups


class RuntimeTransactions:
    """See `api.node.LocalTransactions`."""

    def __init__(self, parts: TransactionParts, transactional_id: str, timeout_ms: int) -> None:
        self._parts = parts
        self._id = transactional_id
        self._timeout_ms = timeout_ms
        self.producer_id = -1
        self.producer_epoch = -1
        self._order = asyncio.Lock()
        self._has_joined = False

    async def open(self) -> None:
        await self._parts.transactions.ready(self._id)
        command = InitProducerId(transactional_id=self._id, timeout_ms=self._timeout_ms)
        for _ in range(TRIES_MAX):
            result = await self._parts.transactions.init_producer_id(command)
            if result.error not in PASSING:
                break
            await asyncio.sleep(TRY_AGAIN_S)  # the transaction of an earlier owner is being aborted
        self._take(result, "open")

    def _take(self, result: ProducerResult, what: str) -> None:
        if result.error is not ErrorCode.NONE:
            raise RequestError(result.error, f"{what} transactional id {self._id}")
        self.producer_id, self.producer_epoch = result.producer_id, result.producer_epoch
        self._has_joined = False

    def _writer(self) -> Writer:
        return Writer(self._id, self.producer_id, self.producer_epoch, adds=True)

    async def append(self, partition: TopicPartition, batch: bytes) -> int:
        return await self._joined(lambda: self._start_append(partition, batch))

    async def _joined(self, start: Callable[[], asyncio.Future[R]]) -> R:
        """While the markers of the transaction before are being written nothing can join the next one. Whoever writes first
        waits for that, and the others behind it, in their order."""
        async with self._order:
            if self._has_joined:
                writing = start()
            else:
                written = await self._try_to_join(start)
                self._has_joined = True
                return written
        return await writing

    async def _try_to_join(self, start: Callable[[], asyncio.Future[R]]) -> R:
        for _ in range(TRIES_MAX):
            try:
                return await start()
            except RequestError as error:
                if error.code not in PASSING:
                    raise
                await asyncio.sleep(TRY_AGAIN_S)
        return await start()

    def _start_append(self, partition: TopicPartition, batch: bytes) -> asyncio.Future[int]:
        appended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        hosted = self._parts.partitions.get(partition.topic, partition.partition)
        if hosted is None:
            raise RequestError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, str(partition))
        sequence = read_header(memoryview(batch)).base_sequence

        def admitted(answers: list[Answer]) -> None:
            (answer,) = answers
            if appended.done():
                return
            if isinstance(answer, ErrorCode):
                appended.set_exception(RequestError(answer, f"append to {partition}"))
                return
            self._append(hosted, partition, batch, answer, appended)

        self._parts.verifier.admit(self._writer(), [(hosted, sequence)], admitted)
        return appended

    def _append(
        self,
        hosted: Partition,
        partition: TopicPartition,
        batch: bytes,
        admission: Admission,
        appended: asyncio.Future[int],
    ) -> None:
        outcome = hosted.append(memoryview(bytearray(batch)), admission=admission)
        if outcome.error is not ErrorCode.NONE:
            appended.set_exception(RequestError(outcome.error, f"append to {partition}: {outcome.message}"))
            return

        def committed(error: ErrorCode) -> None:
            if appended.done():
                return
            if error is not ErrorCode.NONE:
                appended.set_exception(RequestError(error, f"append to {partition}"))
            else:
                appended.set_result(outcome.base_offset)

        hosted.when_committed(outcome.last_offset, committed)

    async def commit_offsets(
        self, group_id: str, offsets: Mapping[TopicPartition, CommittedOffset], member: LocalMember
    ) -> None:
        command = CommitTransactionalOffsets(
            group_id=group_id,
            producer_id=self.producer_id,
            producer_epoch=self.producer_epoch,
            generation=member.member_epoch,
            member_id=member.member_id,
            group_instance_id=None,
            offsets=tuple(
                OffsetToCommit(
                    topic=partition.topic,
                    partition=partition.partition,
                    offset=committed.offset,
                    metadata=committed.metadata,
                )
                for partition, committed in offsets.items()
            ),
        )
        await self._joined(lambda: asyncio.ensure_future(self._commit_once(command)))

    async def _commit_once(self, command: CommitTransactionalOffsets) -> None:
        (result,) = await settled([await self._submit_offsets(command)])
        assert isinstance(result, CommitResult)
        for entry in result.offsets:
            if entry.error is not ErrorCode.NONE:
                raise RequestError(entry.error, f"commit {entry.topic}-{entry.partition} for group {command.group_id}")

    async def _submit_offsets(self, command: CommitTransactionalOffsets) -> CommitResult | asyncio.Future[CommitResult]:
        """Given to the group in the moment in which its log is verified, so that nothing comes in between."""
        parts = self._parts
        await parts.groups.ready(command.group_id)
        index = parts.groups.partition_for(command.group_id)
        partition = parts.partitions.get(GROUP_OFFSETS_TOPIC, index)
        if partition is None:
            return command.refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        submitted: asyncio.Future[CommitResult | asyncio.Future[CommitResult]]
        submitted = asyncio.get_running_loop().create_future()

        def admitted(answers: list[Answer]) -> None:
            (answer,) = answers
            if submitted.done():
                return
            if isinstance(answer, ErrorCode):
                submitted.set_result(command.refused(answer))
            else:
                submitted.set_result(parts.groups.commit_transactional(command, answer))

        parts.verifier.admit(self._writer(), [(partition, SEQUENCE)], admitted)
        return await submitted

    async def end(self, *, is_commit: bool) -> None:
        command = EndTransaction(
            transactional_id=self._id,
            producer_id=self.producer_id,
            producer_epoch=self.producer_epoch,
            is_commit=is_commit,
            client_version=EPOCH_PER_TRANSACTION,
        )
        for _ in range(TRIES_MAX):
            result = await self._parts.transactions.end(command)
            if result.error not in PASSING:
                break
            await asyncio.sleep(TRY_AGAIN_S)
        self._take(result, "commit" if is_commit else "abort")
