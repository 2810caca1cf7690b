"""Elections, reassignments, pages of topics and lists of resources: every answer is what Apache Kafka 4.1 gave on one node."""

from __future__ import annotations

from typing import Any

import pytest
from admin_kit import BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, SET, TOPIC, Node, node

from mainstem.broker.handlers import (
    alter_partition_reassignments,
    describe_topic_partitions,
    elect_leaders,
    list_config_resources,
    list_partition_reassignments,
    unregister_broker,
)
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages import alter_partition_reassignments as reassign
from mainstem.wire.messages import describe_topic_partitions as pages
from mainstem.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from mainstem.wire.messages.list_config_resources import ListConfigResourcesRequest
from mainstem.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from mainstem.wire.messages.unregister_broker import UnregisterBrokerRequest

PREFERRED, UNCLEAN = 0, 1


async def topics(**partitions: int) -> Node:
    broker = await node()
    for name, count in partitions.items():
        await broker.create(name, count)
    return broker


# ---------------------------------------------------------------------------------------------------------- ElectLeaders


@pytest.mark.parametrize(
    ("version", "kind"), [(0, PREFERRED), (1, PREFERRED), (2, PREFERRED), (1, UNCLEAN), (2, UNCLEAN)]
)
async def test_no_election_is_needed_where_the_leader_lives(version: int, kind: int) -> None:
    broker = await topics(a=2)
    wanted = [TopicPartitions(topic="a", partitions=[0, 1, 2, -1]), TopicPartitions(topic="b", partitions=[0])]
    response = await broker.ask(
        elect_leaders, version, ElectLeadersRequest(election_type=kind, topic_partitions=wanted)
    )
    not_needed, unknown = ErrorCode.ELECTION_NOT_NEEDED, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    found = {
        each.topic: [row.error_code for row in each.partition_result] for each in response.replica_election_results
    }
    assert (response.error_code, found) == (0, {"a": [not_needed, not_needed, unknown, unknown], "b": [unknown]})
    assert all(row.error_message for each in response.replica_election_results for row in each.partition_result)


async def test_an_election_for_all_names_the_topics_and_none_of_their_partitions() -> None:
    broker = await topics(a=2, b=1)
    response = await broker.ask(elect_leaders, 2, ElectLeadersRequest(topic_partitions=None))
    assert [(each.topic, each.partition_result) for each in response.replica_election_results] == [("a", []), ("b", [])]


@pytest.mark.parametrize("version", [1, 2])
async def test_an_election_of_an_unknown_type_is_refused(version: int) -> None:
    broker = await topics(a=1)
    wanted = [TopicPartitions(topic="a", partitions=[0])]
    response = await broker.ask(elect_leaders, version, ElectLeadersRequest(election_type=7, topic_partitions=wanted))
    assert response.error_code == ErrorCode.INVALID_REQUEST
    assert response.replica_election_results[0].partition_result[0].error_code == ErrorCode.INVALID_REQUEST
    nothing = await broker.ask(elect_leaders, version, ElectLeadersRequest(election_type=7, topic_partitions=[]))
    assert (nothing.error_code, nothing.replica_election_results) == (0, [])


# -------------------------------------------------------------------------------------------------------- reassignments


def reassignment(topic: str, *partitions: tuple[int, list[int] | None]) -> reassign.ReassignableTopic:
    rows = [reassign.ReassignablePartition(partition_index=index, replicas=replicas) for index, replicas in partitions]
    return reassign.ReassignableTopic(name=topic, partitions=rows)


@pytest.mark.parametrize("version", [0, 1])
async def test_the_present_assignment_is_accepted_and_others_are_not(version: int) -> None:
    broker = await topics(a=5)
    request = reassign.AlterPartitionReassignmentsRequest(
        topics=[
            reassignment("a", (0, [1]), (1, None), (2, [2]), (3, []), (4, [1, 1]), (5, [1]), (6, None)),
            reassignment("b", (0, [1]), (1, None)),
        ]
    )
    response = await broker.ask(alter_partition_reassignments, version, request)
    wrong, unknown = ErrorCode.INVALID_REPLICA_ASSIGNMENT, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert response.error_code == 0
    assert [[row.error_code for row in each.partitions] for each in response.responses] == [
        [0, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, wrong, wrong, wrong, unknown, unknown],
        [unknown, unknown],
    ]
    assert {p.replicas for p in broker.metadata.image.topics["a"].partitions} == {(1,)}


async def test_no_reassignment_is_ever_under_way() -> None:
    broker = await topics(a=1)
    for wanted in (None, [ListPartitionReassignmentsTopics(name="a", partition_indexes=[0, 9])]):
        response = await broker.ask(list_partition_reassignments, 0, ListPartitionReassignmentsRequest(topics=wanted))
        assert (response.error_code, response.topics) == (0, [])


# ------------------------------------------------------------------------------------------------ DescribeTopicPartitions


async def page(broker: Node, *names: str, limit: int = 2000, cursor: tuple[str, int] | None = None) -> Any:
    at = pages.Cursor(topic_name=cursor[0], partition_index=cursor[1]) if cursor else None
    wanted = [pages.TopicRequest(name=name) for name in names]
    request = pages.DescribeTopicPartitionsRequest(topics=wanted, response_partition_limit=limit, cursor=at)
    return await broker.ask(describe_topic_partitions, 0, request)


def shown(response: Any) -> list[tuple[str, int, list[int]]]:
    return [(each.name, each.error_code, [p.partition_index for p in each.partitions]) for each in response.topics]


@pytest.mark.parametrize("limit", range(1, 9))
async def test_pages_together_hold_every_partition_once_and_in_order(limit: int) -> None:
    broker = await topics(c=3, a=1, b=2)
    seen, cursor = [], None
    for _ in range(7):
        response = await page(broker, limit=limit, cursor=cursor)
        rows = [(name, index) for name, _, indexes in shown(response) for index in indexes]
        assert len(rows) <= limit
        seen += rows
        if response.next_cursor is None:
            break
        cursor = (response.next_cursor.topic_name, response.next_cursor.partition_index)
    assert seen == [("a", 0), ("b", 0), ("b", 1), ("c", 0), ("c", 1), ("c", 2)]


async def test_topics_are_described_by_name_each_once_with_all_that_is_known() -> None:
    broker = await topics(c=1, a=1)
    response = await page(broker, "c", "a", "c")
    assert shown(response) == [("a", 0, [0]), ("c", 0, [0])]
    topic = response.topics[0]
    assert (topic.topic_id, topic.is_internal) == (broker.metadata.image.topics["a"].topic_id, False)
    partition = topic.partitions[0]
    assert (partition.leader_id, partition.replica_nodes, partition.isr_nodes) == (1, (1,), (1,))
    assert (partition.eligible_leader_replicas, partition.last_known_elr, partition.offline_replicas) == ((), (), ())


async def test_topics_that_do_not_exist_are_errors_and_take_no_room() -> None:
    broker = await topics(a=1, z=1)
    response = await page(broker, "nope", "a b", "z", "a", limit=2)
    invalid, unknown = ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert shown(response) == [("a", 0, [0]), ("a b", invalid, []), ("nope", unknown, []), ("z", 0, [0])]
    assert response.next_cursor is None


@pytest.mark.parametrize("cursor", [("b", 0), ("zz", 0), ("a", -1), ("c", -1)])
async def test_a_cursor_outside_of_the_list_is_refused(cursor: tuple[str, int]) -> None:
    broker = await topics(a=1, c=1)
    response = await page(broker, "c", "a", cursor=cursor)
    assert {(each.name, each.error_code) for each in response.topics} == {
        ("a", ErrorCode.INVALID_REQUEST),
        ("c", ErrorCode.INVALID_REQUEST),
    }


async def test_a_cursor_may_name_a_topic_that_has_gone_or_a_partition_that_never_was() -> None:
    broker = await topics(a=1, c=1)
    assert shown(await page(broker, cursor=("b", 4))) == [("c", 0, [0])]
    assert shown(await page(broker, cursor=("a", 9))) == [("a", 0, []), ("c", 0, [0])]
    assert shown(await page(broker, "c", "a", cursor=("c", 0))) == [("c", 0, [0])]


@pytest.mark.parametrize("limit", [0, -5])
async def test_a_page_holds_at_least_one_partition(limit: int) -> None:
    response = await page(await topics(a=2), limit=limit)
    assert shown(response) == [("a", 0, [0])]
    assert (response.next_cursor.topic_name, response.next_cursor.partition_index) == ("a", 1)


async def test_a_page_holds_no_more_than_the_broker_allows() -> None:
    broker = await node(max_request_partition_size_limit="2")
    await broker.create("a", 3)
    assert shown(await page(broker, limit=3)) == [("a", 0, [0, 1])]


# ---------------------------------------------------------------------------------------------------- lists of resources


async def resources(broker: Node, *kinds: int, version: int = 1) -> Any:
    return await broker.ask(list_config_resources, version, ListConfigResourcesRequest(resource_types=kinds))


async def test_resources_with_settings_are_listed() -> None:
    broker = await topics(a=1)
    await broker.alter(GROUP, "g", ("consumer.session.timeout.ms", SET, "50000"))
    await broker.alter(CLIENT_METRICS, "m", ("interval.ms", SET, "100"))
    await broker.alter(BROKER, "", ("log.retention.ms", SET, "100"))
    everything = {(TOPIC, "a"), (BROKER, "1"), (BROKER_LOGGER, "1"), (CLIENT_METRICS, "m"), (GROUP, "g")}

    async def listed(*kinds: int) -> set[tuple[int, str]]:
        response = await resources(broker, *kinds)
        assert len({*response.config_resources}) == len(response.config_resources)
        return {(each.resource_type, each.resource_name) for each in response.config_resources}

    assert await listed() == everything
    assert await listed(GROUP, BROKER, GROUP) == {(BROKER, "1"), (GROUP, "g")}
    old = await resources(broker, version=0)
    assert [each.resource_name for each in old.config_resources] == ["m"]


@pytest.mark.parametrize("kind", [0, 1, 99])
async def test_a_type_that_nobody_knows_is_an_unsupported_version(kind: int) -> None:
    response = await resources(await topics(a=1), TOPIC, kind)
    assert (response.error_code, response.config_resources) == (ErrorCode.UNSUPPORTED_VERSION, [])


@pytest.mark.parametrize(
    ("broker_id", "error"), [(7, ErrorCode.BROKER_ID_NOT_REGISTERED), (1, ErrorCode.INVALID_REQUEST)]
)
async def test_a_broker_cannot_be_unregistered(broker_id: int, error: ErrorCode) -> None:
    broker = await node()
    response = await broker.ask(unregister_broker, 0, UnregisterBrokerRequest(broker_id=broker_id))
    assert response.error_code == error
    assert 1 in broker.metadata.image.brokers
