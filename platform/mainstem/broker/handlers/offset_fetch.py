"""OffsetFetch, v1–9. v2: all partitions (null). v7: require stable (KIP-447). v8: several groups (KIP-709).
v9: members of consumer groups say who they are (KIP-848).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.core.group.commands import FetchOffsets
from mainstem.core.group.results import FetchedOffset, FetchResult
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.runtime.coordinator_topic import settled
from mainstem.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

FIRST_VERSION_WITH_ERROR = 2
FIRST_VERSION_WITH_GROUPS = 8


async def handle(context: RequestContext, services: Services, request: OffsetFetchRequest) -> OffsetFetchResponse:
    if context.api_version >= FIRST_VERSION_WITH_GROUPS:
        results = await settled(
            [services.groups.submit(_group_command(g, request.require_stable), _as_it_is) for g in request.groups]
        )
        pairs = zip(request.groups, results, strict=True)
        return OffsetFetchResponse(groups=[_group(asked, result) for asked, result in pairs])
    command = _command(request.group_id, request.topics, request.require_stable)
    (result,) = await settled([services.groups.submit(command, _as_it_is)])
    return _single(context.api_version, command, result)


def _as_it_is(result: FetchResult) -> FetchResult:
    return result


def _command(
    group_id: str,
    topics: Iterable[OffsetFetchRequestTopics | OffsetFetchRequestTopic] | None,
    require_stable: bool,
) -> FetchOffsets:
    partitions = (
        None
        if topics is None
        else tuple(TopicPartition(topic.name, index) for topic in topics for index in topic.partition_indexes)
    )
    return FetchOffsets(group_id=group_id, partitions=partitions, require_stable=require_stable)


def _group_command(asked: OffsetFetchRequestGroup, require_stable: bool) -> FetchOffsets:
    command = _command(asked.group_id, asked.topics, require_stable)
    return msgspec.structs.replace(command, member_id=asked.member_id, member_epoch=asked.member_epoch)


def _by_topic(offsets: Iterable[FetchedOffset]) -> dict[str, list[FetchedOffset]]:
    grouped: dict[str, list[FetchedOffset]] = {}
    for entry in offsets:
        grouped.setdefault(entry.topic, []).append(entry)
    return grouped


def _group(asked: OffsetFetchRequestGroup, result: FetchResult) -> OffsetFetchResponseGroup:
    return OffsetFetchResponseGroup(
        group_id=asked.group_id,
        error_code=result.error,
        topics=[
            OffsetFetchResponseTopics(
                name=name,
                partitions=[
                    OffsetFetchResponsePartitions(
                        partition_index=o.partition,
                        committed_offset=o.offset,
                        committed_leader_epoch=o.leader_epoch,
                        metadata=o.metadata,
                        error_code=o.error,
                    )
                    for o in entries
                ],
            )
            for name, entries in _by_topic(result.offsets).items()
        ],
    )


def _single(version: int, command: FetchOffsets, result: FetchResult) -> OffsetFetchResponse:
    """Version 1 has no error of its own: it stands at every partition that was asked for."""
    offsets = result.offsets
    if result.error is not ErrorCode.NONE and version < FIRST_VERSION_WITH_ERROR:
        offsets = tuple(
            FetchedOffset(topic=p.topic, partition=p.partition, error=result.error) for p in command.partitions or ()
        )
    return OffsetFetchResponse(
        error_code=result.error,
        topics=[
            OffsetFetchResponseTopic(
                name=name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=o.partition,
                        committed_offset=o.offset,
                        committed_leader_epoch=o.leader_epoch,
                        metadata=o.metadata,
                        error_code=o.error,
                    )
                    for o in entries
                ],
            )
            for name, entries in _by_topic(offsets).items()
        ],
    )
