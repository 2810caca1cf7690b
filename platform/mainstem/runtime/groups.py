"""Consumer groups and committed offsets of this broker: what group handlers and code in the process call.

A group belongs to one partition of `__consumer_offsets`, and its coordinator is whoever leads that
partition. The topic is created when the first group shows up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import uuid4

from mainstem.api.context import Clock, Log
from mainstem.core.group.commands import (
    CommitOffsets,
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
)
from mainstem.core.group.results import CommitResult, FetchResult, GroupListing, ListResult
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.model.cluster import Change, PartitionRegistration, TopicDeleted
from mainstem.model.compression import Codec
from mainstem.model.configs.broker import MINUTE_MS, BrokerConfig
from mainstem.model.errors import ErrorCode, MainstemError, RequestError, StorageError
from mainstem.model.ids import TopicPartition
from mainstem.model.topic import GROUP_OFFSETS_TOPIC
from mainstem.runtime.coordinator import CoordinatorRuntime
from mainstem.runtime.coordinator_shard import PartitionPort, RecordFormat, ShardSettings
from mainstem.runtime.coordinator_timers import Scheduler
from mainstem.wire.stored.consumer_offsets import decode_record, encode_record

Response = TypeVar("Response")
NO_GENERATION = -1

MemberRequest = JoinGroup | SyncGroup | Heartbeat | LeaveGroup
GroupRequest = MemberRequest | CommitOffsets | FetchOffsets | DescribeGroup | RemoveGroup


class TopicView(Protocol):
    @property
    def partitions(self) -> tuple[PartitionRegistration, ...]: ...


class ImageView(Protocol):
    """What groups need of `core.metadata.image.MetadataImage`."""

    @property
    def topics(self) -> Mapping[str, TopicView]: ...


class MetadataPort(Protocol):
    """What groups need of `runtime.metadata.Metadata`."""

    @property
    def image(self) -> ImageView: ...
    async def ensure_topic(self, name: str) -> ErrorCode: ...
    def subscribe(self, callback: Callable[[Sequence[Change], Any], None]) -> None: ...


class PartitionsPort(Protocol):
    """What groups need of `runtime.partitions.Partitions`."""

    def get(self, topic: str, partition: int) -> PartitionPort | None: ...

    def stored(self, topic: str) -> set[int]:
        """Partitions of a topic whose log exists; the others were never used."""


class CoordinatorLocation(NamedTuple):
    """`broker_id` is -1 with an error."""

    error: ErrorCode
    broker_id: int = -1


class GroupSnapshot(NamedTuple):
    """One group for metrics and tools: `offsets` as appended, a moment ahead of what is committed."""

    group_id: str
    state: str
    protocol_type: str
    generation: int
    member_ids: tuple[str, ...]
    offsets: Mapping[TopicPartition, int]


def partition_of(group_id: str, partition_count: int) -> int:
    """Java's `String.hashCode` of the id, its absolute value modulo the count. Source: Kafka's `Utils.abs`,
    4.1.
    """
    code = 0
    utf16 = group_id.encode("utf-16-be", "surrogatepass")
    for high, low in zip(utf16[::2], utf16[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & 0xFFFFFFFF
    signed = code - (1 << 32) if code & 0x80000000 else code
    return (0 if signed == -(1 << 31) else abs(signed)) % partition_count


def group_settings(config: BrokerConfig) -> GroupSettings:
    return GroupSettings(
        group_min_session_timeout_ms=config.group_min_session_timeout_ms,
        group_max_session_timeout_ms=config.group_max_session_timeout_ms,
        group_initial_rebalance_delay_ms=config.group_initial_rebalance_delay_ms,
        group_max_size=config.group_max_size,
        offset_metadata_max_bytes=config.offset_metadata_max_bytes,
        offsets_retention_ms=config.offsets_retention_minutes * MINUTE_MS,
        offsets_retention_check_interval_ms=config.offsets_retention_check_interval_ms,
    )


class Groups:
    """One per broker, made on its loop after partitions follow the metadata, closed before they are. `scheduler` None
    stands for that loop.

    What clients ask comes in as commands of `core.group.commands` (`submit`, `list_groups`).
    """

    def __init__(
        self,
        config: BrokerConfig,
        metadata: MetadataPort,
        partitions: PartitionsPort,
        clock: Clock,
        log: Log,
        *,
        new_uuid: Callable[[], object] = uuid4,
        scheduler: Scheduler | None = None,
    ) -> None:
        self._broker_id = config.node_id
        self._partition_count = config.offsets_topic_num_partitions
        self._metadata = metadata
        self._partitions = partitions
        self._log = log
        self._new_uuid = new_uuid
        settings = group_settings(config)
        self._runtime: CoordinatorRuntime[GroupShard] = CoordinatorRuntime(
            GROUP_OFFSETS_TOPIC,
            lambda: GroupShard(settings),
            RecordFormat(encode_record, decode_record),
            ShardSettings(config.offsets_commit_timeout_ms, Codec(config.offsets_topic_compression_codec)),
            clock,
            log,
            scheduler,
        )
        self._creation: asyncio.Task[ErrorCode] | None = None
        self._is_closed = False
        metadata.subscribe(self._follow)
        self._load_led()

    # ------------------------------------------------------------------------------------------------- which
    # coordinator

    def new_member_id(self, client_id: str, group_instance_id: str | None) -> str:
        """As Kafka builds them, so that people recognise their clients."""
        return f"{client_id if group_instance_id is None else group_instance_id}-{self._new_uuid()}"

    def partition_for(self, group_id: str) -> int:
        topic = self._topic()
        return partition_of(group_id, len(topic.partitions) if topic is not None else self._partition_count)

    async def coordinator_of(self, group_id: str) -> CoordinatorLocation:
        """Creates the internal topic if need be."""
        error = await self._ensure_topic()
        topic = self._topic()
        if error is not ErrorCode.NONE or topic is None:
            return CoordinatorLocation(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        leader = topic.partitions[self.partition_for(group_id)].leader
        if leader < 0:
            return CoordinatorLocation(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return CoordinatorLocation(ErrorCode.NONE, leader)

    def _topic(self) -> TopicView | None:
        return self._metadata.image.topics.get(GROUP_OFFSETS_TOPIC)

    async def _ensure_topic(self) -> ErrorCode:
        if self._topic() is not None:
            return ErrorCode.NONE
        return await asyncio.shield(self._create_topic())

    def _create_topic(self) -> asyncio.Task[ErrorCode]:
        """One creation at a time, which outlives the request that asked for it."""
        if self._creation is None or self._creation.done():
            self._creation = asyncio.get_running_loop().create_task(self._create())
        return self._creation

    async def _create(self) -> ErrorCode:
        try:
            return await self._metadata.ensure_topic(GROUP_OFFSETS_TOPIC)
        except MainstemError as error:
            self._log.warning("groups.topic_not_created", topic=GROUP_OFFSETS_TOPIC, reason=str(error))
            return ErrorCode.COORDINATOR_NOT_AVAILABLE

    # -----------------------------------------------------------------------------------------------------
    # which shards

    def _leads(self, registration: PartitionRegistration) -> bool:
        return registration.leader == self._broker_id

    def _follow(self, changes: Sequence[Change], image: Any) -> None:
        """The metadata changed: give up shards that went elsewhere, take over those that came."""
        if self._is_closed:
            return
        names = {getattr(change, "name", "") for change in changes}
        if not changes or GROUP_OFFSETS_TOPIC in names:
            self._load_led()
        deleted = frozenset(c.name for c in changes if isinstance(c, TopicDeleted))
        if deleted:
            for index in self._runtime.indexes():
                self._runtime.tell(index, RemoveTopicOffsets(topics=deleted))

    def _load_led(self) -> None:
        """Shards with records are read back at once: the sessions of their members must end even if nobody
        asks for them. A log that was never used is not even opened before somebody does.
        """
        topic = self._topic()
        registrations = topic.partitions if topic is not None else ()
        led = {r.partition for r in registrations if self._leads(r)}
        for index in self._runtime.indexes():
            if index not in led:
                self._runtime.unload(index)
        if not led:
            return
        for index in sorted(led & self._partitions.stored(GROUP_OFFSETS_TOPIC)):
            partition = self._partitions.get(GROUP_OFFSETS_TOPIC, index)
            if partition is not None and not self._runtime.hosts(index, partition):
                self._load(index, partition)

    def _load(self, index: int, partition: PartitionPort) -> ErrorCode:
        try:
            self._runtime.load(index, partition)
        except StorageError as error:
            self._log.error("groups.partition_not_opened", partition=index, reason=str(error))
            return ErrorCode.NOT_COORDINATOR
        return ErrorCode.NONE

    def _serve(self, index: int) -> ErrorCode:
        """Have the shard of `index` at hand if it is ours."""
        if self._runtime.is_hosted(index):
            return ErrorCode.NONE
        topic = self._topic()
        if self._is_closed:
            return ErrorCode.NOT_COORDINATOR
        if topic is None:
            self._create_topic()
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if not self._leads(topic.partitions[index]):
            return ErrorCode.NOT_COORDINATOR
        partition = self._partitions.get(GROUP_OFFSETS_TOPIC, index)
        return ErrorCode.COORDINATOR_NOT_AVAILABLE if partition is None else self._load(index, partition)

    # -------------------------------------------------------------------------------------------------------
    # ----- requests

    def submit(self, command: GroupRequest, render: Callable[[Any], Response]) -> Response | asyncio.Future[Response]:
        """Give a command to its group's coordinator. `render` makes the response of the result, also of a
        refusal.

        Returns the response where it is there at once, a future of it otherwise; never raises for what a
        client may do.
        """
        if not command.group_id and isinstance(command, MemberRequest):
            return render(command.refused(ErrorCode.INVALID_GROUP_ID))
        index = self.partition_for(command.group_id)
        error = self._serve(index)
        if error is not ErrorCode.NONE:
            return render(command.refused(error))
        return self._runtime.submit(index, command, render)

    async def list_groups(self, command: ListGroups) -> ListResult:
        """All groups this broker coordinates."""
        if self._runtime.is_loading:
            return command.refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        outcomes = [self._runtime.submit(i, command, _as_it_is) for i in self._runtime.indexes()]
        listed: list[GroupListing] = []
        for result in await settled(outcomes):
            if result.error is ErrorCode.NONE:
                listed += result.groups
            elif result.error is not ErrorCode.NOT_COORDINATOR:
                return command.refused(result.error)
        return ListResult(groups=tuple(listed))

    # -------------------------------------------------------------------------------------------------------
    # in process

    async def commit_offsets(self, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
        """As a consumer without membership commits. Raises: RequestError with the first partition's error."""
        await self._ready(group_id)
        wanted = tuple(
            OffsetToCommit(topic=p.topic, partition=p.partition, offset=offset) for p, offset in offsets.items()
        )
        command = CommitOffsets(
            group_id=group_id,
            generation=NO_GENERATION,
            member_id="",
            group_instance_id=None,
            offsets=wanted,
        )
        (result,) = await settled([self.submit(command, _as_it_is)])
        assert isinstance(result, CommitResult)
        for entry in result.offsets:
            if entry.error is not ErrorCode.NONE:
                raise RequestError(entry.error, f"commit {entry.topic}-{entry.partition} for group {group_id}")

    async def committed_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Only partitions that have one. Raises: RequestError."""
        await self._ready(group_id)
        command = FetchOffsets(group_id=group_id, partitions=tuple(partitions), require_stable=True)
        (result,) = await settled([self.submit(command, _as_it_is)])
        assert isinstance(result, FetchResult)
        found = {}
        for error in (result.error, *(o.error for o in result.offsets)):
            if error is not ErrorCode.NONE:
                raise RequestError(error, f"fetch offsets of group {group_id}")
        for entry in result.offsets:
            if entry.offset >= 0:
                found[TopicPartition(entry.topic, entry.partition)] = entry.offset
        return found

    async def _ready(self, group_id: str) -> None:
        """Callers in the process do not retry as clients do, so wait for what comes by itself."""
        error = await self._ensure_topic()
        if error is not ErrorCode.NONE:
            raise RequestError(error, f"create {GROUP_OFFSETS_TOPIC}")
        index = self.partition_for(group_id)
        if self._serve(index) is ErrorCode.NONE:
            await self._runtime.wait_loaded(index)

    def snapshots(self) -> Iterator[GroupSnapshot]:
        """Every group of the shards that are loaded; cheap, for metrics at scrape time."""
        for shard in self._runtime.machines():
            for group in shard.groups.values():
                yield GroupSnapshot(
                    group.group_id,
                    str(group.state),
                    group.protocol_type or "",
                    group.generation,
                    tuple(group.members),
                    {p: entry.stored.offset for p, entry in shard.offsets.of_group(group.group_id).items()},
                )

    async def close(self) -> None:
        self._is_closed = True
        if self._creation is not None:
            self._creation.cancel()
            await asyncio.gather(self._creation, return_exceptions=True)
        await self._runtime.close()


def _as_it_is(result: Any) -> Any:
    return result


async def settled(outcomes: Sequence[Response | asyncio.Future[Response]]) -> list[Response]:
    """The responses of several `submit`s, which are all under way already."""
    return [await outcome if isinstance(outcome, asyncio.Future) else outcome for outcome in outcomes]
