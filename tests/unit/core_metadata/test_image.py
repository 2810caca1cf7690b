from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.metadata.image import ConfigResource, MetadataImage
from mainstem.model.cluster import (
    BrokerRegistration,
    Change,
    ConfigChanged,
    PartitionChanged,
    PartitionRegistration,
    PartitionsAdded,
    ProducerIdsReserved,
    TopicCreated,
    TopicDeleted,
)
from mainstem.model.ids import TopicId


def partition(number: int, leader: int = 1) -> PartitionRegistration:
    return PartitionRegistration(partition=number, leader=leader, leader_epoch=0, replicas=(1,), isr=(1,))


def topic_id(name: str) -> TopicId:
    return TopicId(name.encode().ljust(16)[:16])


def created(name: str, partitions: int = 1, **configs: str) -> TopicCreated:
    numbers = tuple(partition(number) for number in range(partitions))
    return TopicCreated(name=name, topic_id=topic_id(name), partitions=numbers, configs=configs)


def deleted(name: str) -> TopicDeleted:
    return TopicDeleted(name=name, topic_id=topic_id(name))


def test_a_topic_is_found_by_name_and_by_id() -> None:
    image = MetadataImage().apply(created("a", 2))
    assert image.topics["a"] is image.topics_by_id[topic_id("a")]
    assert [each.partition for each in image.topics["a"].partitions] == [0, 1]


def test_an_image_never_changes() -> None:
    before = MetadataImage().apply(created("a"))
    after = before.apply_all([created("b"), deleted("a")])
    assert (list(before.topics), list(after.topics)) == (["a"], ["b"])
    assert (list(before.topics_by_id), list(after.topics_by_id)) == ([topic_id("a")], [topic_id("b")])


def test_internal_topics_are_marked() -> None:
    image = MetadataImage().apply_all([created("__consumer_offsets"), created("__transaction_state"), created("__a")])
    assert [name for name, topic in image.topics.items() if topic.is_internal] == [
        "__consumer_offsets",
        "__transaction_state",
    ]


def test_partitions_are_added_and_replaced_by_number() -> None:
    image = MetadataImage().apply_all(
        [
            created("a", 2),
            PartitionsAdded(name="a", partitions=(partition(3), partition(2))),
            PartitionChanged(name="a", partition=partition(1, leader=7)),
        ]
    )
    assert [(each.partition, each.leader) for each in image.topics["a"].partitions] == [(0, 1), (1, 7), (2, 1), (3, 1)]
    assert image.topics_by_id[topic_id("a")] is image.topics["a"]


def test_configs_are_kept_by_resource_and_removed_by_none() -> None:
    def config(kind: str, name: str, key: str, value: str | None) -> ConfigChanged:
        return ConfigChanged(resource_type=kind, resource_name=name, key=key, value=value)

    image = MetadataImage().apply_all(
        [
            created("a", 1, x="0"),
            config("topic", "a", "y", "1"),
            config("broker", "", "z", "2"),
            config("broker", "1", "z", "3"),
            config("group", "a", "w", "4"),
        ]
    )
    assert image.configs_of(ConfigResource("topic", "a")) == {"x": "0", "y": "1"}
    assert image.configs_of(ConfigResource("broker", "")) == {"z": "2"}
    assert image.configs_of(ConfigResource("broker", "1")) == {"z": "3"}
    assert image.configs_of(ConfigResource("group", "a")) == {"w": "4"}
    emptied = image.apply_all([config("broker", "", "z", None), config("topic", "a", "x", None)])
    assert emptied.configs_of(ConfigResource("broker", "")) == {}
    assert ConfigResource("broker", "") not in emptied.configs
    assert emptied.configs_of(ConfigResource("topic", "a")) == {"y": "1"}
    assert emptied.configs_of(ConfigResource("topic", "nobody")) == {}


def test_a_topic_takes_its_configs_with_it() -> None:
    image = MetadataImage().apply_all([created("a", 1, x="0"), deleted("a"), created("a")])
    assert image.topics["a"].configs == {}


def test_producer_ids_never_go_back() -> None:
    blocks = [ProducerIdsReserved(broker_id=1, first=first, count=10) for first in (0, 20, 10)]
    assert MetadataImage().apply_all(blocks).next_producer_id == 30


def test_brokers_and_controller_are_known_beside_the_changes() -> None:
    broker = BrokerRegistration(broker_id=3, epoch=1, endpoints=())
    image = MetadataImage().with_brokers([broker]).with_controller(3).apply(created("a"))
    assert (image.brokers, image.controller_id) == ({3: broker}, 3)


@pytest.mark.parametrize(
    "changes",
    [
        [created("a"), created("a")],
        [deleted("a")],
        [PartitionsAdded(name="a", partitions=(partition(0),))],
        [created("a"), PartitionsAdded(name="a", partitions=(partition(2),))],
        [ConfigChanged(resource_type="topic", resource_name="a", key="k", value="v")],
    ],
)
def test_changes_that_contradict_the_image_are_bugs(changes: list[Change]) -> None:
    with pytest.raises(AssertionError):
        MetadataImage().apply_all(changes)


def test_names_that_metrics_cannot_tell_apart_are_found_together() -> None:
    image = MetadataImage().apply_all([created("a.b"), created("a_b"), created("ab")])
    assert image.similar_names == {"a_b": ("a.b", "a_b")}
    assert image.apply(deleted("a.b")).similar_names == {"a_b": ("a_b",)}
    assert image.apply_all([deleted("a.b"), deleted("a_b")]).similar_names == {}


@given(st.lists(st.tuples(st.sampled_from(["a_b", "a.b", "c"]), st.booleans())))
def test_one_by_one_or_all_at_once_makes_the_same_image(steps: list[tuple[str, bool]]) -> None:
    alive: set[str] = set()
    changes: list[Change] = []
    for name, create in steps:
        if create and name not in alive:
            changes.append(created(name))
            alive.add(name)
        elif not create and name in alive:
            changes.append(deleted(name))
            alive.remove(name)
    step_by_step = MetadataImage()
    for change in changes:
        step_by_step = step_by_step.apply(change)
    assert step_by_step == MetadataImage().apply_all(changes)
    assert set(step_by_step.topics) == alive
