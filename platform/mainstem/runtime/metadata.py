"""The one place of a node that changes cluster metadata and publishes what it looks like.

    metadata = Metadata(config, coordinator)
    await metadata.start(registration, await coordinator.open())
    await metadata.create_topic("orders", partitions=3)

A change is planned against the newest image, written by the coordinator, and only then applied and
published, so nobody ever sees what a crash could take back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from mainstem.api.coordination import ControllerClaim, Coordinator
from mainstem.core.controller.configs import ConfigEdit, ConfigPlan, plan_config_edits, plan_config_replacement
from mainstem.core.controller.features import FeaturePlan, FeatureUpdate, plan_feature_updates
from mainstem.core.controller.internal_topics import automatic_topic
from mainstem.core.controller.topics import (
    PARTITIONS_PER_REQUEST_MAX,
    ReplicaAssignment,
    TopicResult,
    TopicSpec,
    plan_creation,
    plan_deletion,
    plan_partitions,
    too_many,
)
from mainstem.core.metadata.effective import effective_config
from mainstem.core.metadata.image import ConfigResource, MetadataImage
from mainstem.model.cluster import BrokerRegistration, Change, ConfigChanged, ProducerIdsReserved
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.group import GroupConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode, RequestError
from mainstem.model.ids import NO_TOPIC_ID, TopicId
from mainstem.model.topic import INTERNAL_TOPICS, topic_name_problem

Subscriber = Callable[[Sequence[Change], MetadataImage], None]
T = TypeVar("T")


class Metadata:
    """Owned by one node; all calls on its loop. `entropy(n)` gives n random bytes."""

    def __init__(
        self, config: BrokerConfig, coordinator: Coordinator, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._coordinator = coordinator
        self._static_config = config
        self._entropy = entropy
        self._claim: ControllerClaim | None = None
        self._subscribers: list[Subscriber] = []
        self._topic_configs: dict[str, TopicConfig] = {}
        self._group_configs: dict[str, GroupConfig] = {}
        self._running: set[asyncio.Task[Any]] = set()
        # From planning a change against the image until the image with it is published, no other change is
        # planned.
        self._image_is_changing = asyncio.Lock()
        self.image = MetadataImage()
        self.config = config
        self.broker_epoch = -1

    # ------------------------------------------------------------------------------------------------ life

    async def start(self, registration: BrokerRegistration, changes: Sequence[Change]) -> None:
        """Take what the coordinator's `open` returned, join the cluster, and the controller's office if it is free.

        Raises: FencedError if another live broker has this id, StorageError.
        """
        self.image = MetadataImage().apply_all(changes)
        self._refresh_configs(None)
        self.broker_epoch = await self._coordinator.register(registration)
        self._claim = await self._coordinator.elect(registration.broker_id)
        live = await self._coordinator.brokers()
        self.image = self.image.with_brokers(live).with_controller(self._claim.broker_id)
        self._call_subscribers(())

    async def close(self) -> None:
        """Lets changes that are under way finish. The coordinator is its owner's to close, afterwards."""
        if self._running:
            await asyncio.wait(self._running)

    def subscribe(self, callback: Subscriber) -> None:
        """`callback(changes, image)` runs on the loop after every published image; it must not block or await."""
        self._subscribers.append(callback)

    # --------------------------------------------------------------------------------------------- reading

    @property
    def is_controller(self) -> bool:
        return self._claim is not None and self._claim.broker_id == self._static_config.node_id

    @property
    def static_config(self) -> BrokerConfig:
        """The configuration this broker was started with; `config` has the dynamic settings over it."""
        return self._static_config

    def topic_config(self, name: str) -> TopicConfig:
        """The effective configuration of a topic, or the defaults if there is none of that name."""
        config = self._topic_configs.get(name)
        if config is None:
            overrides = self.image.configs_of(ConfigResource("topic", name))
            config = TopicConfig.resolve(overrides, self.config)
            if name in self.image.topics:
                self._topic_configs[name] = config
        return config

    def group_config(self, group_id: str) -> GroupConfig:
        """The effective configuration of a group, existing or not; to be asked again after every change."""
        config = self._group_configs.get(group_id)
        if config is None:
            overrides = self.image.configs_of(ConfigResource("group", group_id))
            # All groups without settings of their own share one, so that this does not grow with their number.
            key = group_id if overrides else ""
            config = self._group_configs.get(key) or GroupConfig.resolve(overrides, self.config)
            self._group_configs[key] = config
        return config

    # -------------------------------------------------------------------------------------------- changing

    async def create_topics(self, specs: Sequence[TopicSpec], validate_only: bool = False) -> list[TopicResult]:
        """All that can be created are created in one write.

        Raises: StorageError, FencedError; RequestError where this broker is not the controller.
        """
        return await self._uninterrupted(self._create_topics(specs, validate_only))

    async def create_topic(
        self,
        name: str,
        partitions: int = -1,
        replication_factor: int = -1,
        configs: Mapping[str, str | None] | None = None,
        assignments: Sequence[ReplicaAssignment] = (),
        validate_only: bool = False,
    ) -> TopicResult:
        """As `create_topics`, for one."""
        spec = TopicSpec(
            name=name,
            partitions=partitions,
            replication_factor=replication_factor,
            configs=configs or {},
            assignments=assignments,
        )
        (result,) = await self.create_topics([spec], validate_only)
        return result

    async def ensure_topic(self, name: str) -> ErrorCode:
        """Create a topic because somebody uses it, unless it is there. Internal topics get settings of their own.

        Other topics are created only if `auto.create.topics.enable` allows it: UNKNOWN_TOPIC_OR_PARTITION
        otherwise. Raises: as `create_topics`.
        """
        if name in self.image.topics:
            return ErrorCode.NONE
        if topic_name_problem(name) is not None:
            return ErrorCode.INVALID_TOPIC_EXCEPTION
        if name not in INTERNAL_TOPICS and not self.config.auto_create_topics_enable:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        (result,) = await self.create_topics([automatic_topic(name, self.config)])
        # Another caller may have created it while this one waited for its turn.
        return ErrorCode.NONE if result.error is ErrorCode.TOPIC_ALREADY_EXISTS else result.error

    async def delete_topics(self, names: Sequence[str]) -> list[TopicResult]:
        """Raises: as `create_topics`."""
        return await self._uninterrupted(self._delete_topics(names))

    async def delete_topic(self, name: str) -> ErrorCode:
        """As `delete_topics`, for one."""
        (result,) = await self.delete_topics([name])
        return result.error

    async def add_partitions(
        self,
        name: str,
        total: int,
        assignments: Sequence[tuple[int, ...]] | None = None,
        validate_only: bool = False,
    ) -> TopicResult:
        """Widen a topic to `total` partitions.

        Raises: as `create_topics`.
        """
        return await self._uninterrupted(self._add_partitions(name, total, assignments, validate_only))

    async def alter_configs(
        self, resource: ConfigResource, edits: Sequence[ConfigEdit], validate_only: bool = False
    ) -> ConfigPlan:
        """Raises: as `create_topics`."""
        return await self._uninterrupted(self._alter_configs(resource, edits, validate_only))

    async def replace_configs(
        self, resource: ConfigResource, wanted: Sequence[tuple[str, str | None]], validate_only: bool = False
    ) -> ConfigPlan:
        """Raises: as `create_topics`."""
        return await self._uninterrupted(self._replace_configs(resource, wanted, validate_only))

    async def update_features(self, updates: Sequence[FeatureUpdate], validate_only: bool = False) -> FeaturePlan:
        """Raises: as `create_topics`."""
        return await self._uninterrupted(self._update_features(updates, validate_only))

    async def reserve_producer_ids(self, count: int) -> int:
        """The first of `count` ids that nobody was ever given, nor will be.

        Raises: as `create_topics`.
        """
        return await self._uninterrupted(self._reserve_producer_ids(count))

    async def _create_topics(self, specs: Sequence[TopicSpec], validate_only: bool) -> list[TopicResult]:
        async with self._image_is_changing:
            image, results, partitions = self.image, [], 0
            for spec in specs:
                result = plan_creation(image, spec, self.config, self._new_topic_id(), self._random_start())
                partitions += max(0, result.partitions)
                if partitions > PARTITIONS_PER_REQUEST_MAX:
                    message = too_many(partitions)
                    result = TopicResult(name=spec.name, error=ErrorCode.POLICY_VIOLATION, message=message)
                if result.change is not None:
                    # The next topic may collide with this one.
                    image = image.apply(result.change)
                results.append(result)
            if not validate_only:
                await self._write([result.change for result in results if result.change is not None])
            return results

    async def _delete_topics(self, names: Sequence[str]) -> list[TopicResult]:
        async with self._image_is_changing:
            image, results = self.image, []
            for name in names:
                result = plan_deletion(image, name, self.config)
                if result.change is not None:
                    image = image.apply(result.change)
                results.append(result)
            await self._write([result.change for result in results if result.change is not None])
            return results

    async def _add_partitions(
        self, name: str, total: int, assignments: Sequence[tuple[int, ...]] | None, validate_only: bool
    ) -> TopicResult:
        async with self._image_is_changing:
            result = plan_partitions(self.image, name, total, assignments, self._random_start())
            if result.change is not None and not validate_only:
                await self._write([result.change])
            return result

    async def _alter_configs(
        self, resource: ConfigResource, edits: Sequence[ConfigEdit], validate_only: bool
    ) -> ConfigPlan:
        async with self._image_is_changing:
            plan = plan_config_edits(self.image, resource, edits, self._static_config)
            if not validate_only:
                await self._write(plan.changes)
            return plan

    async def _replace_configs(
        self, resource: ConfigResource, wanted: Sequence[tuple[str, str | None]], validate_only: bool
    ) -> ConfigPlan:
        async with self._image_is_changing:
            plan = plan_config_replacement(self.image, resource, wanted, self._static_config)
            if not validate_only:
                await self._write(plan.changes)
            return plan

    async def _update_features(self, updates: Sequence[FeatureUpdate], validate_only: bool) -> FeaturePlan:
        async with self._image_is_changing:
            plan = plan_feature_updates(self.image, updates)
            if not validate_only:
                await self._write(plan.changes)
            return plan

    async def _reserve_producer_ids(self, count: int) -> int:
        assert count > 0, count
        async with self._image_is_changing:
            first = self.image.next_producer_id
            broker_id = self._static_config.node_id
            await self._write([ProducerIdsReserved(broker_id=broker_id, first=first, count=count)])
            return first

    async def _write(self, changes: Sequence[Change]) -> None:
        """Called with `_image_is_changing` held."""
        if not changes:
            return
        if self._claim is None or not self.is_controller:
            raise RequestError(ErrorCode.NOT_CONTROLLER, "changing cluster metadata")
        await self._coordinator.write(changes, self._claim.epoch)
        self.image = self.image.apply_all(changes)
        self._refresh_configs(changes)
        self._call_subscribers(changes)

    def _call_subscribers(self, changes: Sequence[Change]) -> None:
        for callback in self._subscribers:
            callback(changes, self.image)

    def _refresh_configs(self, changes: Sequence[Change] | None) -> None:
        """Forget what `changes` (None: anything) made stale."""
        touched = [change for change in changes or () if isinstance(change, ConfigChanged)]
        if changes is None or any(change.resource_type == "broker" for change in touched):
            self.config = effective_config(self.image, self._static_config)
            self._topic_configs.clear()
            self._group_configs.clear()
        for change in touched:
            self._topic_configs.pop(change.resource_name, None)
            self._group_configs.pop(change.resource_name, None)
        for name in [name for name in self._topic_configs if name not in self.image.topics]:
            del self._topic_configs[name]

    def _new_topic_id(self) -> TopicId:
        """A random version-4 UUID that no topic has. Ids that print with a dash in front trouble command lines."""
        while True:
            raw = bytearray(self._entropy(16))
            raw[6] = raw[6] & 0x0F | 0x40
            raw[8] = raw[8] & 0x3F | 0x80
            topic_id = TopicId(bytes(raw))
            # base64url prints six bits 62 as '-': Kafka draws again, too.
            if topic_id != NO_TOPIC_ID and raw[0] >> 2 != 62 and topic_id not in self.image.topics_by_id:
                return topic_id

    def _random_start(self) -> int:
        return int.from_bytes(self._entropy(4), "big")

    async def _uninterrupted(self, change: Coroutine[Any, Any, T]) -> T:
        """Finish a change even if the request that asked for it is cancelled.

        Otherwise a client that disconnects between the durable write and the new image would leave this node
        with an image that lacks what a restart brings back.
        """
        task = asyncio.get_running_loop().create_task(change)
        self._running.add(task)
        task.add_done_callback(self._finished)
        waiting: Awaitable[T] = asyncio.shield(task)
        return await waiting

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # Marks it as seen: the caller may be gone.
