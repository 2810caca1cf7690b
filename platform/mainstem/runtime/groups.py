"""Consumer groups and committed offsets of this broker: what group handlers and code in the process call.

A group belongs to one partition of `__consumer_offsets` (`runtime.coordinator_topic`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

from msgspec.structs import replace

from mainstem.api.context import Clock, Log
from mainstem.api.node import CommittedOffset
from mainstem.core.group.commands import (
    CommitOffsets,
    CommitTransactionalOffsets,
    ConsumerHeartbeat,
    DeleteOffsets,
    DescribeConsumerGroup,
    DescribeGroup,
    FetchOffsets,
    Heartbeat,
    JoinGroup,
    LeaveGroup,
    ListGroups,
    OffsetToCommit,
    RemoveGroup,
    RemoveTopicOffsets,
    SyncGroup,
    TopicsChanged,
)
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.results import CommitResult, FetchResult, GroupListing, ListResult
from mainstem.core.group.settings import GroupSettings, MigrationPolicy
from mainstem.core.group.shard import GroupShard
from mainstem.core.log.verification import Admission
from mainstem.model.cluster import Change, TopicDeleted
from mainstem.model.compression import Codec
from mainstem.model.configs.broker import MINUTE_MS, BrokerConfig
from mainstem.model.configs.consumer_group_keys import ASSIGNOR_NAMES
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.ids import TopicPartition, topic_id_text
from mainstem.model.topic import GROUP_OFFSETS_TOPIC
from mainstem.runtime.coordinator import CoordinatorRuntime
from mainstem.runtime.coordinator_shard import EndMarker, RecordFormat, ShardSettings
from mainstem.runtime.coordinator_timers import Scheduler
from mainstem.runtime.coordinator_topic import (
    CoordinatorLocation,
    CoordinatorTopic,
    PartitionsPort,
    as_it_is,
    settled,
)
from mainstem.runtime.group_cluster import GroupCluster, GroupMetadataPort, changed_topics
from mainstem.wire.stored.consumer_offsets import decode_record, encode_record

Response = TypeVar("Response")
NO_GENERATION = -1

MemberRequest = JoinGroup | SyncGroup | Heartbeat | LeaveGroup
GroupRequest = (
    MemberRequest
    | ConsumerHeartbeat
    | CommitOffsets
    | CommitTransactionalOffsets
    | FetchOffsets
    | DeleteOffsets
    | DescribeGroup
    | DescribeConsumerGroup
    | RemoveGroup
)


class GroupSnapshot(NamedTuple):
    """One group for metrics and tools: `offsets` as appended, a moment ahead of what is committed."""

    group_id: str
    state: str
    protocol_type: str
    generation: int
    member_ids: tuple[str, ...]
    offsets: Mapping[TopicPartition, int]


def group_settings(config: BrokerConfig) -> GroupSettings:
    return GroupSettings(
        group_min_session_timeout_ms=config.group_min_session_timeout_ms,
        group_max_session_timeout_ms=config.group_max_session_timeout_ms,
        group_initial_rebalance_delay_ms=config.group_initial_rebalance_delay_ms,
        group_max_size=config.group_max_size,
        offset_metadata_max_bytes=config.offset_metadata_max_bytes,
        offsets_retention_ms=config.offsets_retention_minutes * MINUTE_MS,
        offsets_retention_check_interval_ms=config.offsets_retention_check_interval_ms,
        consumer_assignors=tuple(dict.fromkeys(ASSIGNOR_NAMES[name] for name in config.group_consumer_assignors)),
        consumer_max_size=config.group_consumer_max_size,
        consumer_migration_policy=MigrationPolicy(config.group_consumer_migration_policy),
    )


class Groups:
    """One per broker, made on its loop after partitions follow the metadata, closed before they are. `scheduler` None
    stands for that loop.

    What clients ask comes in as commands of `core.group.commands` (`submit`, `list_groups`).
    """

    def __init__(
        self,
        config: BrokerConfig,
        metadata: GroupMetadataPort,
        partitions: PartitionsPort,
        clock: Clock,
        log: Log,
        *,
        new_uuid: Callable[[], object] = uuid4,
        scheduler: Scheduler | None = None,
    ) -> None:
        self._new_uuid = new_uuid
        settings = group_settings(config)
        cluster = GroupCluster(metadata, clock)
        runtime: CoordinatorRuntime[GroupShard] = CoordinatorRuntime(
            GROUP_OFFSETS_TOPIC,
            lambda: GroupShard(settings, cluster),
            RecordFormat(encode_record, decode_record),
            ShardSettings(config.offsets_commit_timeout_ms, Codec(config.offsets_topic_compression_codec)),
            clock,
            log,
            scheduler,
        )
        self._topic: CoordinatorTopic[GroupShard] = CoordinatorTopic(
            GROUP_OFFSETS_TOPIC,
            config.offsets_topic_num_partitions,
            config.node_id,
            metadata,
            partitions,
            runtime,
            log,
        )
        metadata.subscribe(self._follow)

    # ------------------------------------------------------------------------------------------------------- requests

    def new_member_id(self, client_id: str, group_instance_id: str | None) -> str:
        """As Kafka builds them, so that people recognise their clients."""
        return f"{client_id if group_instance_id is None else group_instance_id}-{self._new_uuid()}"

    def new_consumer_member_id(self) -> str:
        """For consumers that do not choose their id themselves (ConsumerGroupHeartbeat 0), in the form of Kafka's `Uuid`."""
        value = self._new_uuid()
        return topic_id_text(value.bytes) if isinstance(value, UUID) else str(value)

    def partition_for(self, group_id: str) -> int:
        return self._topic.partition_for(group_id)

    async def coordinator_of(self, group_id: str) -> CoordinatorLocation:
        """Creates the internal topic if need be."""
        return await self._topic.coordinator_of(group_id)

    def _follow(self, changes: Sequence[Change], image: Any) -> None:
        """The metadata changed; the shards already follow it."""
        deleted = frozenset(c.name for c in changes if isinstance(c, TopicDeleted))
        if deleted:
            self._topic.tell_all(RemoveTopicOffsets(topics=deleted))
        changed = changed_topics(changes)
        if changed:
            self._topic.tell_all(TopicsChanged(topics=changed))

    def submit(self, command: GroupRequest, render: Callable[[Any], Response]) -> Response | asyncio.Future[Response]:
        """Give a command to its group's coordinator. `render` makes the response of the result, also of a
        refusal.

        Returns the response where it is there at once, a future of it otherwise; never raises for what a
        client may do.
        """
        if not command.group_id and isinstance(command, MemberRequest | DeleteOffsets | DescribeConsumerGroup):
            return render(command.refused(ErrorCode.INVALID_GROUP_ID))
        return self._topic.submit(command.group_id, command, render)

    def serve(self, partition: int) -> ErrorCode:
        """Have the groups of this partition of `__consumer_offsets` at hand if they are ours."""
        return self._topic.serve(partition)

    def commit_transactional(
        self, command: CommitTransactionalOffsets, admission: Admission
    ) -> CommitResult | asyncio.Future[CommitResult]:
        """`admission` is what the log of the group's partition asks of a transaction."""
        return self.submit(replace(command, admission=admission), as_it_is)

    def end_transaction(self, partition: int, marker: EndMarker, done: Callable[[ErrorCode], None]) -> None:
        """A transaction with offsets in this partition of `__consumer_offsets` is over; `done` is told when that is committed."""
        error = self._topic.serve(partition)
        if error is not ErrorCode.NONE:
            done(error)
        else:
            self._topic.runtime.end_transaction(partition, marker, done)

    async def list_groups(self, command: ListGroups) -> ListResult:
        """All groups this broker coordinates."""
        if self._topic.runtime.is_loading:
            return command.refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        listed: list[GroupListing] = []
        for result in await self._topic.ask_all(command):
            if result.error is ErrorCode.NONE:
                listed += result.groups
            elif result.error is not ErrorCode.NOT_COORDINATOR:
                return command.refused(result.error)
        return ListResult(groups=tuple(listed))

    # -------------------------------------------------------------------------------------------------------
    # in process

    async def ready(self, group_id: str) -> None:
        """Until the coordinator of a group serves. Raises: RequestError if the internal topic cannot be created."""
        await self._topic.ready(group_id)

    async def commit_offsets(
        self,
        group_id: str,
        offsets: Mapping[TopicPartition, CommittedOffset],
        *,
        member_id: str = "",
        generation: int = NO_GENERATION,
    ) -> None:
        """Without a member id: as a consumer without membership. Raises: RequestError with the first partition's error."""
        await self._topic.ready(group_id)
        wanted = tuple(
            OffsetToCommit(topic=p.topic, partition=p.partition, offset=committed.offset, metadata=committed.metadata)
            for p, committed in offsets.items()
        )
        command = CommitOffsets(
            group_id=group_id,
            generation=generation,
            member_id=member_id,
            group_instance_id=None,
            offsets=wanted,
        )
        (result,) = await settled([self.submit(command, as_it_is)])
        assert isinstance(result, CommitResult)
        for entry in result.offsets:
            if entry.error is not ErrorCode.NONE:
                raise RequestError(entry.error, f"commit {entry.topic}-{entry.partition} for group {group_id}")

    async def committed_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition] | None
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """Only partitions that have one; None asks for all. Raises: RequestError, UNSTABLE_OFFSET_COMMIT among them."""
        await self._topic.ready(group_id)
        wanted = None if partitions is None else tuple(partitions)
        command = FetchOffsets(group_id=group_id, partitions=wanted, require_stable=True)
        (result,) = await settled([self.submit(command, as_it_is)])
        assert isinstance(result, FetchResult)
        found = {}
        for error in (result.error, *(o.error for o in result.offsets)):
            if error is not ErrorCode.NONE:
                raise RequestError(error, f"fetch offsets of group {group_id}")
        for entry in result.offsets:
            if entry.offset >= 0:
                found[TopicPartition(entry.topic, entry.partition)] = CommittedOffset(entry.offset, entry.metadata)
        return found

    def shards(self) -> Iterator[GroupShard]:
        """Those that are loaded, for metrics."""
        return self._topic.runtime.machines()

    def snapshots(self) -> Iterator[GroupSnapshot]:
        """Every group of the shards that are loaded; cheap, for metrics at scrape time."""
        for shard in self.shards():
            for group in shard.groups.values():
                yield GroupSnapshot(
                    group.group_id,
                    str(group.state),
                    group.protocol_type or "",
                    group.epoch if isinstance(group, ConsumerGroup) else group.generation,
                    tuple(group.members),
                    {p: entry.stored.offset for p, entry in shard.offsets.of_group(group.group_id).items()},
                )

    async def close(self) -> None:
        await self._topic.close()
