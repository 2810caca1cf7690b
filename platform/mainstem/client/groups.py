"""Groups of any Kafka cluster, as plain values: listings, members, committed offsets. Spoken in the protocol itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from mainstem.client.cluster import GROUP, Cluster, by_topic
from mainstem.client.errors import check, error_of, refusal
from mainstem.client.group_descriptions import GroupInfo, describe_group
from mainstem.model.errors import ErrorCode, MainstemError
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from mainstem.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from mainstem.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from mainstem.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from mainstem.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
)
from mainstem.wire.schema import Message

TYPES = {"classic": "Classic", "consumer": "Consumer", "share": "Share", "streams": "Streams"}
"""Kafka's names as its tools print them, by the names of the protocol in lower case."""
CONSUMER_PROTOCOLS = ("", "consumer")
"""Protocol types of groups that consumers make; the empty one belongs to groups that only commit offsets."""
_NAMES_UNTIL = 9
"""From version 10 on offsets are asked by topic id, and answered without names."""


class GroupListing(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is one of TYPES' values; `state` as Kafka writes it; `protocol` is empty in a group that only commits."""

    group: str
    type: str
    state: str
    protocol: str


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    offset: int
    leader_epoch: int | None
    metadata: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedOffsets:
    """What became of each partition; `error` is what the whole request met."""

    error: ErrorCode
    partitions: Mapping[TopicPartition, ErrorCode]


class Groups:
    """Every method raises UnreachableError or RefusedError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def listings(self, types: Iterable[str] = (), states: Iterable[str] = ()) -> list[GroupListing]:
        """Groups of all kinds and all brokers, sorted by name; `types` and `states` choose some."""
        found = {}
        request = ListGroupsRequest(states_filter=list(states), types_filter=[each.lower() for each in types])
        for node in self._cluster.nodes():
            answer = self._cluster.broker(node.id).ask(ApiKey.LIST_GROUPS, request)
            assert isinstance(answer, ListGroupsResponse), answer
            check(answer.error_code)
            for each in answer.groups:
                found[each.group_id] = GroupListing(
                    group=each.group_id,
                    type=TYPES.get(each.group_type.lower(), each.group_type) or "Classic",
                    state=each.group_state,
                    protocol=each.protocol_type,
                )
        return [listing for _, listing in sorted(found.items())]

    def consumer_listings(self, types: Iterable[str] = (), states: Iterable[str] = ()) -> list[GroupListing]:
        """Groups that consumers make: what `kafka-consumer-groups.sh --list` shows."""
        return [
            listing
            for listing in self.listings(types, states)
            if listing.type == "Consumer" or (listing.type == "Classic" and listing.protocol in CONSUMER_PROTOCOLS)
        ]

    def describe(self, group: str) -> GroupInfo:
        """Of either protocol. Raises also: RefusedError with GROUP_ID_NOT_FOUND."""
        return describe_group(self._cluster, group)

    def committed(self, group: str) -> dict[TopicPartition, Committed]:
        """Committed offsets of all partitions that have one."""
        request = OffsetFetchRequest(
            groups=[OffsetFetchRequestGroup(group_id=group, topics=None)], group_id=group, topics=None
        )
        answer = self._ask(group, ApiKey.OFFSET_FETCH, request, _fetch_error, _NAMES_UNTIL)
        assert isinstance(answer, OffsetFetchResponse), answer
        check(_fetch_error(answer))
        # Version 8 answers for many groups, older ones for one.
        topics = answer.groups[0].topics if answer.groups else answer.topics
        found = {}
        for topic in topics:
            for each in topic.partitions:
                check(each.error_code)
                if each.committed_offset >= 0:
                    epoch = each.committed_leader_epoch
                    found[TopicPartition(topic.name, each.partition_index)] = Committed(
                        offset=each.committed_offset,
                        leader_epoch=epoch if epoch >= 0 else None,
                        metadata=each.metadata or "",
                    )
        return found

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Replace committed offsets; the group must have no members."""
        if not offsets:
            return
        request = OffsetCommitRequest(
            group_id=group,
            topics=[
                OffsetCommitRequestTopic(
                    name=topic,
                    partitions=[
                        OffsetCommitRequestPartition(
                            partition_index=number,
                            committed_offset=offsets[TopicPartition(topic, number)],
                            committed_metadata="",
                        )
                        for number in numbers
                    ],
                )
                for topic, numbers in by_topic(offsets).items()
            ],
        )
        answer = self._ask(group, ApiKey.OFFSET_COMMIT, request, _commit_error, _NAMES_UNTIL)
        check(_commit_error(answer))

    def delete(self, groups: Sequence[str]) -> dict[str, MainstemError | None]:
        """What went wrong with each group, None if it is gone."""
        outcome: dict[str, MainstemError | None] = {}
        for group in dict.fromkeys(groups):
            answer = self._ask(group, ApiKey.DELETE_GROUPS, DeleteGroupsRequest(groups_names=[group]), _delete_error)
            code = _delete_error(answer)
            outcome[group] = refusal(code) if code != ErrorCode.NONE else None
        return outcome

    def delete_offsets(self, group: str, partitions: Iterable[TopicPartition]) -> DeletedOffsets:
        """Forget committed offsets of partitions that no member is subscribed to."""
        wanted = list(partitions)
        request = OffsetDeleteRequest(
            group_id=group,
            topics=[
                OffsetDeleteRequestTopic(
                    name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=each) for each in numbers]
                )
                for topic, numbers in by_topic(wanted).items()
            ],
        )
        answer = self._ask(group, ApiKey.OFFSET_DELETE, request, _offset_delete_error)
        assert isinstance(answer, OffsetDeleteResponse), answer
        if answer.error_code != ErrorCode.NONE:
            error = error_of(answer.error_code)
            return DeletedOffsets(error=error, partitions=dict.fromkeys(wanted, error))
        outcome = {
            TopicPartition(topic.name, each.partition_index): error_of(each.error_code)
            for topic in answer.topics
            for each in topic.partitions
        }
        first = next((code for code in outcome.values() if code is not ErrorCode.NONE), ErrorCode.NONE)
        return DeletedOffsets(error=first, partitions=outcome)

    def _ask(
        self, group: str, api: ApiKey, request: Message, code_of: Callable[[Message], int], up_to: int = 32767
    ) -> Message:
        return self._cluster.ask_coordinator(GROUP, group, api, request, up_to, code_of)


def _fetch_error(answer: Message) -> int:
    assert isinstance(answer, OffsetFetchResponse), answer
    return answer.groups[0].error_code if answer.groups else answer.error_code


def _commit_error(answer: Message) -> int:
    assert isinstance(answer, OffsetCommitResponse), answer
    codes = (each.error_code for topic in answer.topics for each in topic.partitions)
    return next((code for code in codes if code != ErrorCode.NONE), ErrorCode.NONE)


def _delete_error(answer: Message) -> int:
    assert isinstance(answer, DeleteGroupsResponse), answer
    return answer.results[0].error_code


def _offset_delete_error(answer: Message) -> int:
    assert isinstance(answer, OffsetDeleteResponse), answer
    return answer.error_code
