from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from mainstem.api.coordination import ControllerClaim
from mainstem.core.controller.configs import ConfigEdit, ConfigOperation
from mainstem.core.controller.topics import TopicSpec
from mainstem.core.metadata.image import ConfigResource, MetadataImage
from mainstem.model.cluster import BrokerRegistration, Change, ProducerIdsReserved
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ErrorCode, RequestError, StorageError
from mainstem.runtime.metadata import Metadata

ME = BrokerRegistration(broker_id=1, epoch=0, endpoints=())


class FakeCoordinator:
    """Remembers what is written; a write takes one turn of the loop, or waits for `gate`."""

    def __init__(self, controller_id: int = 1) -> None:
        self.written: list[list[Change]] = []
        self.gate: asyncio.Event | None = None
        self.failure: StorageError | None = None
        self._controller_id = controller_id

    async def open(self) -> Sequence[Change]:
        return [change for changes in self.written for change in changes]

    async def cluster_id(self) -> str:
        return "x" * 22

    async def register(self, registration: BrokerRegistration) -> int:
        return 5

    async def brokers(self) -> Sequence[BrokerRegistration]:
        return [ME]

    async def elect(self, broker_id: int) -> ControllerClaim:
        return ControllerClaim(broker_id=self._controller_id, epoch=3)

    async def write(self, changes: Sequence[Change], controller_epoch: int) -> None:
        assert controller_epoch == 3
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.written.append(list(changes))

    async def close(self) -> None:
        """Nothing to release."""


async def started(coordinator: FakeCoordinator, **texts: str) -> Metadata:
    config = BrokerConfig.from_texts({name.replace("_", "."): text for name, text in texts.items()})
    metadata = Metadata(config, coordinator, random.Random(7).randbytes)
    await metadata.start(ME, await coordinator.open())
    return metadata


async def test_starting_joins_the_cluster_and_takes_the_office() -> None:
    metadata = await started(FakeCoordinator())
    assert (metadata.image.controller_id, list(metadata.image.brokers)) == (1, [1])
    assert (metadata.broker_epoch, metadata.is_controller) == (5, True)


async def test_a_created_topic_is_written_before_it_is_seen() -> None:
    coordinator = FakeCoordinator()
    metadata = await started(coordinator)
    coordinator.gate = asyncio.Event()
    creating = asyncio.ensure_future(metadata.create_topic("a", 3))
    for _ in range(5):
        await asyncio.sleep(0)
    assert "a" not in metadata.image.topics
    coordinator.gate.set()
    result = await creating
    assert (result.error, result.partitions) == (ErrorCode.NONE, 3)
    assert metadata.image.topics["a"].topic_id == result.topic_id
    assert result.topic_id[6] >> 4 == 4


async def test_topics_come_back_after_a_restart() -> None:
    coordinator = FakeCoordinator()
    first = await started(coordinator)
    await first.create_topic("a", 2, 1, {"retention.ms": "9"})
    second = await started(coordinator)
    assert second.image.topics == first.image.topics
    assert second.topic_config("a").retention_ms == 9


async def test_many_topics_are_one_write_and_see_each_other() -> None:
    coordinator = FakeCoordinator()
    metadata = await started(coordinator)
    specs = [TopicSpec(name=name) for name in ("a.b", "a_b", "c", "c")]
    errors = [result.error for result in await metadata.create_topics(specs)]
    assert errors == [
        ErrorCode.NONE,
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        ErrorCode.NONE,
        ErrorCode.TOPIC_ALREADY_EXISTS,
    ]
    assert [len(changes) for changes in coordinator.written] == [2]


async def test_one_request_creates_a_bounded_number_of_partitions() -> None:
    metadata = await started(FakeCoordinator())
    specs = [TopicSpec(name=name, partitions=6000) for name in ("a", "b")]
    assert [result.error for result in await metadata.create_topics(specs)] == [
        ErrorCode.NONE,
        ErrorCode.POLICY_VIOLATION,
    ]


async def test_validating_only_writes_nothing() -> None:
    coordinator = FakeCoordinator()
    metadata = await started(coordinator)
    assert (await metadata.create_topic("a", validate_only=True)).error is ErrorCode.NONE
    await metadata.create_topic("b")
    assert (await metadata.add_partitions("b", 2, validate_only=True)).error is ErrorCode.NONE
    edit = ConfigEdit("retention.ms", ConfigOperation.SET, "1")
    plan = await metadata.alter_configs(ConfigResource("topic", "b"), [edit], validate_only=True)
    assert plan.error is ErrorCode.NONE
    assert list(metadata.image.topics) == ["b"]
    assert len(metadata.image.topics["b"].partitions) == 1
    assert metadata.topic_config("b").retention_ms != 1


async def test_concurrent_use_of_a_topic_creates_it_once() -> None:
    coordinator = FakeCoordinator()
    metadata = await started(coordinator, num_partitions="3")
    errors = await asyncio.gather(*(metadata.ensure_topic("a") for _ in range(20)))
    assert set(errors) == {ErrorCode.NONE}
    assert len(coordinator.written) == 1
    assert len(metadata.image.topics["a"].partitions) == 3


@pytest.mark.parametrize(
    ("name", "automatic", "error"),
    [
        ("a", "true", ErrorCode.NONE),
        ("a", "false", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("a b", "true", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("__consumer_offsets", "false", ErrorCode.NONE),
        ("__cluster_metadata", "true", ErrorCode.INVALID_REQUEST),
    ],
)
async def test_automatic_creation_follows_the_settings(name: str, automatic: str, error: ErrorCode) -> None:
    metadata = await started(FakeCoordinator(), auto_create_topics_enable=automatic)
    assert await metadata.ensure_topic(name) is error


async def test_internal_topics_get_settings_of_their_own() -> None:
    metadata = await started(FakeCoordinator(), offsets_topic_num_partitions="5")
    await metadata.ensure_topic("__consumer_offsets")
    assert len(metadata.image.topics["__consumer_offsets"].partitions) == 5
    assert metadata.topic_config("__consumer_offsets").is_compacted


async def test_topics_are_deleted() -> None:
    metadata = await started(FakeCoordinator())
    await metadata.create_topic("a")
    assert await metadata.delete_topic("a") is ErrorCode.NONE
    assert await metadata.delete_topic("a") is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    errors = [result.error for result in await metadata.delete_topics(["a", "a"])]
    assert errors == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 2


async def test_partitions_are_added() -> None:
    metadata = await started(FakeCoordinator())
    await metadata.create_topic("a")
    result = await metadata.add_partitions("a", 3)
    assert (result.error, len(metadata.image.topics["a"].partitions)) == (ErrorCode.NONE, 3)


async def test_blocks_of_producer_ids_never_overlap_also_after_a_restart() -> None:
    coordinator = FakeCoordinator()
    metadata = await started(coordinator)
    firsts = await asyncio.gather(*(metadata.reserve_producer_ids(1000) for _ in range(3)))
    again = await started(coordinator)
    assert [*firsts, await again.reserve_producer_ids(10)] == [0, 1000, 2000, 3000]
    assert coordinator.written[-1] == [ProducerIdsReserved(broker_id=1, first=3000, count=10)]


async def test_effective_settings_follow_every_change() -> None:
    metadata = await started(FakeCoordinator(), log_retention_ms="100")
    await metadata.create_topic("a")

    async def alter(kind: str, name: str, key: str, value: str | None) -> None:
        operation = ConfigOperation.DELETE if value is None else ConfigOperation.SET
        plan = await metadata.alter_configs(ConfigResource(kind, name), [ConfigEdit(key, operation, value)])
        assert plan.error is ErrorCode.NONE, plan.message

    seen = [metadata.topic_config("a").retention_ms]
    for kind, name, key, value in [
        ("broker", "", "log.retention.ms", "200"),
        ("broker", "1", "log.retention.ms", "300"),
        ("topic", "a", "retention.ms", "400"),
        ("topic", "a", "retention.ms", None),
        ("broker", "1", "log.retention.ms", None),
        ("broker", "", "log.retention.ms", None),
    ]:
        await alter(kind, name, key, value)
        seen.append(metadata.topic_config("a").retention_ms)
    assert seen == [100, 200, 300, 400, 300, 200, 100]
    assert metadata.config is metadata.static_config


async def test_settings_of_a_deleted_topic_do_not_come_back() -> None:
    metadata = await started(FakeCoordinator())
    await metadata.create_topic("a", configs={"retention.ms": "9"})
    assert metadata.topic_config("a").retention_ms == 9
    await metadata.delete_topic("a")
    assert metadata.topic_config("a").retention_ms == 604_800_000
    await metadata.create_topic("a")
    assert metadata.topic_config("a").retention_ms == 604_800_000


async def test_subscribers_see_the_new_image_with_its_changes() -> None:
    metadata = await started(FakeCoordinator())
    seen: list[tuple[int, list[str]]] = []

    def remember(changes: Sequence[Change], image: MetadataImage) -> None:
        seen.append((len(changes), list(image.topics)))

    metadata.subscribe(remember)
    await metadata.create_topic("a")
    await metadata.create_topics([TopicSpec(name="b"), TopicSpec(name="c")])
    await metadata.create_topic("a")
    assert seen == [(1, ["a"]), (2, ["a", "b", "c"])]


async def test_a_write_that_failed_is_never_seen() -> None:
    coordinator = FakeCoordinator()
    metadata = await started(coordinator)
    coordinator.failure = StorageError("journal", "no space")
    with pytest.raises(StorageError):
        await metadata.create_topic("a")
    assert metadata.image.topics == {}


async def test_a_caller_who_goes_away_does_not_leave_a_change_half_made() -> None:
    coordinator = FakeCoordinator()
    metadata = await started(coordinator)
    coordinator.gate = asyncio.Event()
    creating = asyncio.ensure_future(metadata.create_topic("a"))
    await asyncio.sleep(0)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    coordinator.gate.set()
    await metadata.close()
    assert list(metadata.image.topics) == ["a"]
    assert len(coordinator.written) == 1


async def test_only_the_controller_changes_metadata() -> None:
    metadata = await started(FakeCoordinator(controller_id=2))
    with pytest.raises(RequestError) as caught:
        await metadata.create_topic("a")
    assert caught.value.code is ErrorCode.NOT_CONTROLLER


async def test_topic_ids_never_print_with_a_dash_in_front_and_never_repeat() -> None:
    """Source: Kafka's `Uuid.randomUuid`, whose reserved ids and leading dashes are drawn again."""
    draws = [bytes([0xF8] * 16), bytes([1] * 16), bytes(4), bytes([1] * 16), bytes([2] * 16), bytes(4)]
    metadata = Metadata(BrokerConfig.from_texts({}), FakeCoordinator(), lambda size: draws.pop(0))
    await metadata.start(ME, [])
    first, second = await metadata.create_topic("a"), await metadata.create_topic("b")
    assert (first.topic_id[0], second.topic_id[0]) == (1, 2)
