"""TxnOffsetCommit, v0–5. v3: member and generation (KIP-447). v5: the group's partition joins the transaction by this (KIP-890)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mainstem.broker.context import RequestContext
from mainstem.broker.offset_commits import answered_topics, errors_of, known_offsets
from mainstem.broker.services import Services
from mainstem.core.group.commands import CommitTransactionalOffsets
from mainstem.core.group.results import CommitResult
from mainstem.core.log.verification import Admission
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import GROUP_OFFSETS_TOPIC
from mainstem.runtime.coordinator_topic import settled
from mainstem.runtime.transaction_verification import Writer, told_to_committer
from mainstem.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

ADDS_FROM = 5
FIRST_VERSION_WITH_LOAD_IN_PROGRESS = 2
SEQUENCE = 0
"""What coordinators write has no sequence; Kafka's has this one."""


async def handle(
    context: RequestContext, services: Services, request: TxnOffsetCommitRequest
) -> TxnOffsetCommitResponse:
    command = _command(services, request)
    if not command.offsets:
        return _response(request, {})
    (result,) = await settled([await _commit(context, services, request, command)])
    return _render(context, request, result)


async def _commit(
    context: RequestContext,
    services: Services,
    request: TxnOffsetCommitRequest,
    command: CommitTransactionalOffsets,
) -> CommitResult | asyncio.Future[CommitResult]:
    """The command is given to the group in the moment in which the log is verified, so that nothing comes in between."""
    if not request.group_id:
        return command.refused(ErrorCode.INVALID_GROUP_ID)
    index = services.groups.partition_for(request.group_id)
    problem = services.groups.serve(index)
    partition = services.partitions.get(GROUP_OFFSETS_TOPIC, index)
    if problem is not ErrorCode.NONE or partition is None:
        return command.refused(problem or ErrorCode.COORDINATOR_NOT_AVAILABLE)
    submitted: asyncio.Future[CommitResult | asyncio.Future[CommitResult]] = asyncio.get_running_loop().create_future()

    def admitted(answers: list[Admission | ErrorCode]) -> None:
        (answer,) = answers
        if submitted.done():
            return
        if isinstance(answer, ErrorCode):
            submitted.set_result(command.refused(told_to_committer(answer, context.api_version)))
        else:
            submitted.set_result(services.groups.commit_transactional(command, answer))

    writer = Writer(
        request.transactional_id,
        request.producer_id,
        request.producer_epoch,
        adds=context.api_version >= ADDS_FROM,
    )
    services.transaction_verifier.admit(writer, [(partition, SEQUENCE)], admitted)
    return await submitted


def _command(services: Services, request: TxnOffsetCommitRequest) -> CommitTransactionalOffsets:
    return CommitTransactionalOffsets(
        group_id=request.group_id,
        producer_id=request.producer_id,
        producer_epoch=request.producer_epoch,
        generation=request.generation_id,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        offsets=known_offsets(services.metadata.image, request.topics),
    )


def _render(context: RequestContext, request: TxnOffsetCommitRequest, result: CommitResult) -> TxnOffsetCommitResponse:
    errors = errors_of(result)
    if context.api_version < FIRST_VERSION_WITH_LOAD_IN_PROGRESS:
        # Producers before 2.0 could crash on the error they do not expect here (KAFKA-7296).
        for partition, error in errors.items():
            if error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                errors[partition] = ErrorCode.COORDINATOR_NOT_AVAILABLE
    return _response(request, errors)


def _response(request: TxnOffsetCommitRequest, errors: Mapping[TopicPartition, ErrorCode]) -> TxnOffsetCommitResponse:
    return TxnOffsetCommitResponse(
        topics=answered_topics(request.topics, errors, TxnOffsetCommitResponseTopic, TxnOffsetCommitResponsePartition)
    )
