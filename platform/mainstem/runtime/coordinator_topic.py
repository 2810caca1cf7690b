"""An internal topic whose partitions are coordinators: where each one is, and having those that are ours at hand.

What a coordinator is asked for (a group, a transactional id) belongs to one partition of the topic, and its coordinator is whoever
leads that partition. The topic is created when somebody first asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from mainstem.api.context import Log
from mainstem.model.cluster import Change, PartitionRegistration
from mainstem.model.errors import ErrorCode, MainstemError, RequestError, StorageError
from mainstem.runtime.coordinator import CoordinatorRuntime
from mainstem.runtime.coordinator_shard import PartitionPort, StateMachine

Machine = TypeVar("Machine", bound=StateMachine[Any])
Response = TypeVar("Response")


class TopicView(Protocol):
    @property
    def partitions(self) -> tuple[PartitionRegistration, ...]: ...


class ImageView(Protocol):
    """What coordinators need of `core.metadata.image.MetadataImage`."""

    @property
    def topics(self) -> Mapping[str, TopicView]: ...


class MetadataPort(Protocol):
    """What coordinators need of `runtime.metadata.Metadata`."""

    @property
    def image(self) -> ImageView: ...
    async def ensure_topic(self, name: str) -> ErrorCode: ...
    def subscribe(self, callback: Callable[[Sequence[Change], Any], None]) -> None: ...


class PartitionsPort(Protocol):
    """What coordinators need of `runtime.partitions.Partitions`."""

    def get(self, topic: str, partition: int) -> PartitionPort | None: ...

    def stored(self, topic: str) -> set[int]:
        """Partitions of a topic whose log exists; the others were never used."""


class CoordinatorLocation(NamedTuple):
    """`broker_id` is -1 with an error."""

    error: ErrorCode
    broker_id: int = -1


def partition_of(key: str, partition_count: int) -> int:
    """Java's `String.hashCode` of the key, its absolute value modulo the count. Source: Kafka's `Utils.abs`,
    4.1.
    """
    code = 0
    utf16 = key.encode("utf-16-be", "surrogatepass")
    for high, low in zip(utf16[::2], utf16[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & 0xFFFFFFFF
    signed = code - (1 << 32) if code & 0x80000000 else code
    return (0 if signed == -(1 << 31) else abs(signed)) % partition_count


class CoordinatorTopic(Generic[Machine]):
    """One per internal topic, made on the loop after partitions follow the metadata, closed before they are.

    Owns `runtime`. `partition_count` is what the topic will have once it is created.
    """

    def __init__(
        self,
        topic: str,
        partition_count: int,
        broker_id: int,
        metadata: MetadataPort,
        partitions: PartitionsPort,
        runtime: CoordinatorRuntime[Machine],
        log: Log,
    ) -> None:
        self.runtime = runtime
        self._name = topic
        self._partition_count = partition_count
        self._broker_id = broker_id
        self._metadata = metadata
        self._partitions = partitions
        self._log = log
        self._creation: asyncio.Task[ErrorCode] | None = None
        self._is_closed = False
        metadata.subscribe(self._follow)
        self._load_led()

    # ----------------------------------------------------------------------------------------------- which coordinator

    def partition_for(self, key: str) -> int:
        topic = self._topic()
        return partition_of(key, len(topic.partitions) if topic is not None else self._partition_count)

    async def coordinator_of(self, key: str) -> CoordinatorLocation:
        """Creates the internal topic if need be."""
        error = await self._ensure_topic()
        topic = self._topic()
        if error is not ErrorCode.NONE or topic is None:
            return CoordinatorLocation(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        leader = topic.partitions[self.partition_for(key)].leader
        if leader < 0:
            return CoordinatorLocation(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return CoordinatorLocation(ErrorCode.NONE, leader)

    async def ready(self, key: str) -> None:
        """Until the coordinator of `key` serves, if it is ours: callers in the process do not retry as clients do.

        Raises: RequestError if the topic cannot be created.
        """
        error = await self._ensure_topic()
        if error is not ErrorCode.NONE:
            raise RequestError(error, f"create {self._name}")
        index = self.partition_for(key)
        if self.serve(index) is ErrorCode.NONE:
            await self.runtime.wait_loaded(index)

    def _topic(self) -> TopicView | None:
        return self._metadata.image.topics.get(self._name)

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
            return await self._metadata.ensure_topic(self._name)
        except MainstemError as error:
            self._log.warning("coordinator.topic_not_created", topic=self._name, reason=str(error))
            return ErrorCode.COORDINATOR_NOT_AVAILABLE

    # --------------------------------------------------------------------------------------------------- which shards

    def _leads(self, registration: PartitionRegistration) -> bool:
        return registration.leader == self._broker_id

    def _follow(self, changes: Sequence[Change], image: Any) -> None:
        """The metadata changed: give up shards that went elsewhere, take over those that came."""
        if self._is_closed:
            return
        if not changes or self._name in {getattr(change, "name", "") for change in changes}:
            self._load_led()

    def _load_led(self) -> None:
        """Shards with records are read back at once: the sessions of their members must end even if nobody
        asks for them. A log that was never used is not even opened before somebody does.
        """
        topic = self._topic()
        registrations = topic.partitions if topic is not None else ()
        led = {r.partition for r in registrations if self._leads(r)}
        for index in self.runtime.indexes():
            if index not in led:
                self.runtime.unload(index)
        if not led:
            return
        for index in sorted(led & self._partitions.stored(self._name)):
            partition = self._partitions.get(self._name, index)
            if partition is not None and not self.runtime.hosts(index, partition):
                self._load(index, partition)

    def _load(self, index: int, partition: PartitionPort) -> ErrorCode:
        try:
            self.runtime.load(index, partition)
        except StorageError as error:
            self._log.error("coordinator.partition_not_opened", topic=self._name, partition=index, reason=str(error))
            return ErrorCode.NOT_COORDINATOR
        return ErrorCode.NONE

    def serve(self, index: int) -> ErrorCode:
        """Have the shard of `index` at hand if it is ours."""
        if self.runtime.is_hosted(index):
            return ErrorCode.NONE
        topic = self._topic()
        if self._is_closed:
            return ErrorCode.NOT_COORDINATOR
        if topic is None:
            self._create_topic()
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if not self._leads(topic.partitions[index]):
            return ErrorCode.NOT_COORDINATOR
        partition = self._partitions.get(self._name, index)
        return ErrorCode.COORDINATOR_NOT_AVAILABLE if partition is None else self._load(index, partition)

    # ----------------------------------------------------------------------------------------------------- commands

    def submit(self, key: str, command: Any, render: Callable[[Any], Response]) -> Response | asyncio.Future[Response]:
        """Give a command to the coordinator of `key`. `render` makes the response of the result, also of a refusal.

        Returns the response where it is there at once, a future of it otherwise; never raises for what a
        client may do.
        """
        index = self.partition_for(key)
        error = self.serve(index)
        if error is not ErrorCode.NONE:
            return render(command.refused(error))
        return self.runtime.submit(index, command, render)

    def tell_all(self, command: Any) -> None:
        """A command for every shard that is loaded."""
        for index in self.runtime.indexes():
            self.runtime.tell(index, command)

    async def ask_all(self, command: Any) -> list[Any]:
        """The results of every shard at hand, those that are still read back refuse."""
        return await settled([self.runtime.submit(i, command, as_it_is) for i in self.runtime.indexes()])

    async def close(self) -> None:
        self._is_closed = True
        if self._creation is not None:
            self._creation.cancel()
            await asyncio.gather(self._creation, return_exceptions=True)
        await self.runtime.close()


def as_it_is(result: Any) -> Any:
    return result


async def settled(outcomes: Sequence[Response | asyncio.Future[Response]]) -> list[Response]:
    """The responses of several `submit`s, which are all under way already."""
    return [await outcome if isinstance(outcome, asyncio.Future) else outcome for outcome in outcomes]
