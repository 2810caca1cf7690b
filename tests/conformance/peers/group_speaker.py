"""Members of groups as raw requests, and what a broker told them, in words that do not depend on the broker."""

import struct
import time
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic
from raw_connection import RawConnection

from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from mainstem.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from mainstem.wire.messages.describe_groups import DescribeGroupsRequest
from mainstem.wire.messages.find_coordinator import FindCoordinatorRequest
from mainstem.wire.messages.heartbeat import HeartbeatRequest
from mainstem.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from mainstem.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from mainstem.wire.messages.list_groups import ListGroupsRequest
from mainstem.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from mainstem.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from mainstem.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from mainstem.wire.messages.sync_group import SyncGroupRequest

TIMEOUT_S = 30
NOT_READY = {14, 15, 16}
TOPIC = "orders-like-kafka"


class Speaker(RawConnection):
    """One connection in raw requests, and everything it was told, in words that do not depend on the broker."""

    def __init__(self, bootstrap: str, group: str) -> None:
        super().__init__(bootstrap)
        self.group = group
        self.told: list[Any] = []
        self.owned: dict[str, dict[bytes, list[int]]] = {}
        self.admin = admin = AdminClient({"bootstrap.servers": bootstrap})
        if TOPIC not in admin.list_topics(timeout=TIMEOUT_S).topics:
            admin.create_topics([NewTopic(TOPIC, 4, 1)])[TOPIC].result(TIMEOUT_S)
        self._retried(ApiKey.FIND_COORDINATOR, 2, FindCoordinatorRequest(key=self.group))

    def _retried(self, api: ApiKey, version: int, message: Any) -> Any:
        ends = time.monotonic() + TIMEOUT_S
        while (answer := self.ask(api, version, message)).error_code in NOT_READY:
            assert time.monotonic() < ends, f"error {answer.error_code}"
            time.sleep(0.05)
        return answer

    # --- requests

    def beat(self, member_id: str, epoch: int, owned: Any = None, version: int = 1, **changes: Any) -> Any:
        """`owned`: True for all the member was told of, a number for so many of them, else as it is."""
        topics = None
        if owned is not None:
            has = self.owned.get(member_id, {})
            keep = None if owned is True else owned
            topics = [TopicPartitions(topic_id=t, partitions=p[:keep]) for t, p in has.items()] if keep != 0 else []
        fields = {"group_id": self.group, "member_id": member_id, "member_epoch": epoch, "topic_partitions": topics}
        request = ConsumerGroupHeartbeatRequest(**(fields | changes))
        answer = self._retried(ApiKey.CONSUMER_GROUP_HEARTBEAT, version, request)
        count = None
        if answer.assignment is not None:
            self.owned[member_id] = {t.topic_id: list(t.partitions) for t in answer.assignment.topic_partitions}
            count = sum(len(t.partitions) for t in answer.assignment.topic_partitions)
        # Kafka names the group in some of its messages, by the same name on both sides.
        name = answer.member_id if not answer.member_id or len(answer.member_id) < 20 else "generated"
        self.told.append(
            ("beat", member_id, epoch, answer.error_code, answer.error_message, name, answer.member_epoch, count)
        )
        return answer

    def enter(self, member_id: str, **changes: Any) -> Any:
        fields = {"rebalance_timeout_ms": 60_000, "subscribed_topic_names": [TOPIC], "topic_partitions": []}
        return self.beat(member_id, 0, **(fields | changes))

    def join(self, member_id: str = "", topics: list[str] | None = None, **changes: Any) -> Any:
        names = [TOPIC] if topics is None else topics
        metadata = struct.pack(">hi", 1, len(names))
        metadata += b"".join(struct.pack(">h", len(n)) + n.encode() for n in names) + struct.pack(">ii", -1, 0)
        fields: dict[str, Any] = {
            "group_id": self.group,
            "session_timeout_ms": 30_000,
            "rebalance_timeout_ms": 30_000,
            "member_id": member_id,
            "protocol_type": "consumer",
            "protocols": [JoinGroupRequestProtocol(name="range", metadata=metadata)],
        }
        answer = self._retried(ApiKey.JOIN_GROUP, 9, JoinGroupRequest(**(fields | changes)))
        leads = bool(answer.leader) and answer.leader == answer.member_id
        self.told.append(
            ("join", answer.error_code, answer.generation_id, answer.protocol_name, leads, len(answer.members))
        )
        return answer

    def sync(self, joined: Any, **changes: Any) -> None:
        fields = {
            "group_id": self.group,
            "generation_id": joined.generation_id,
            "member_id": joined.member_id,
            "protocol_type": "consumer",
            "protocol_name": "range",
        }
        answer = self.ask(ApiKey.SYNC_GROUP, 5, SyncGroupRequest(**(fields | changes)))
        self.told.append(("sync", answer.error_code, answer.protocol_name, len(answer.assignment)))

    def classic_beat(self, member_id: str, generation: int, instance_id: str | None = None) -> None:
        request = HeartbeatRequest(
            group_id=self.group, generation_id=generation, member_id=member_id, group_instance_id=instance_id
        )
        self.told.append(("heartbeat", self.ask(ApiKey.HEARTBEAT, 4, request).error_code))

    def leave(self, member_id: str, instance_id: str | None = None) -> None:
        request = LeaveGroupRequest(
            group_id=self.group, members=[MemberIdentity(member_id=member_id, group_instance_id=instance_id)]
        )
        answer = self.ask(ApiKey.LEAVE_GROUP, 5, request)
        self.told.append(("leave", answer.error_code, [m.error_code for m in answer.members]))

    def commit(self, member_id: str, epoch: int, version: int = 9) -> None:
        partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=7, committed_metadata="")
        request = OffsetCommitRequest(
            group_id=self.group,
            generation_id_or_member_epoch=epoch,
            member_id=member_id,
            topics=[OffsetCommitRequestTopic(name=TOPIC, partitions=[partition])],
        )
        answer = self.ask(ApiKey.OFFSET_COMMIT, version, request)
        self.told.append(("commit", epoch, answer.topics[0].partitions[0].error_code))

    def fetch(self, **who: Any) -> None:
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=self.group, topics=None, **who)])
        (group,) = self.ask(ApiKey.OFFSET_FETCH, 9, request).groups
        offsets = [p.committed_offset for t in group.topics for p in t.partitions]
        self.told.append(("fetch", who, group.error_code, offsets))

    def delete_offset(self, topic: str = TOPIC, partition: int = 0, group: str | None = None) -> None:
        wanted = OffsetDeleteRequestTopic(
            name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=partition)]
        )
        answer = self.ask(ApiKey.OFFSET_DELETE, 0, OffsetDeleteRequest(group_id=group or self.group, topics=[wanted]))
        errors = [p.error_code for t in answer.topics for p in t.partitions]
        self.told.append(("delete", topic, partition, answer.error_code, errors))

    def describe(self) -> None:
        request = ConsumerGroupDescribeRequest(group_ids=[self.group, "absent"])
        # Kafka answers in the order of its coordinators.
        groups = self.ask(ApiKey.CONSUMER_GROUP_DESCRIBE, 1, request).groups
        for group in sorted(groups, key=lambda found: found.group_id):
            members = sorted(
                (
                    (
                        m.instance_id,
                        m.rack_id,
                        m.member_epoch,
                        m.client_id,
                        m.client_host,
                        sorted(m.subscribed_topic_names),
                        m.subscribed_topic_regex,
                        m.member_type,
                        sum(len(t.partitions) for t in m.assignment.topic_partitions),
                        sum(len(t.partitions) for t in m.target_assignment.topic_partitions),
                    )
                    for m in group.members
                ),
                key=repr,
            )
            self.told.append(
                (
                    "describe",
                    group.error_code,
                    group.error_message,
                    group.group_state,
                    group.group_epoch,
                    group.assignment_epoch,
                    group.assignor_name,
                    members,
                )
            )

    def shown(self) -> None:
        """What listings and the classic description say."""
        listed = self.ask(ApiKey.LIST_GROUPS, 5, ListGroupsRequest()).groups
        found = [(g.protocol_type, g.group_state, g.group_type) for g in listed if g.group_id == self.group]
        for version in (5, 6):
            (group,) = self.ask(ApiKey.DESCRIBE_GROUPS, version, DescribeGroupsRequest(groups=[self.group])).groups
            found.append((group.error_code, group.error_message, group.group_state, group.protocol_type))
        self.told.append(("shown", found))
