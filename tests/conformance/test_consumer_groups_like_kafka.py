"""The same raw requests to consumer groups here and on Apache Kafka 4.1: every answer is the same, words included, and every
record in the log.

Which of the partitions a member gets is the assignor's matter; how many, and in which epoch, is compared.
"""

import itertools
import re
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from mainstem.cli.dump_offsets import OFFSETS, decoded_contents
from mainstem.model import records
from mainstem.model.batch import iterate
from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import decode, encode, request_schema, response_schema
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

pytestmark = pytest.mark.conformance

TIMEOUT_S = 30
NOT_READY = {14, 15, 16}
TOPIC = "orders-like-kafka"


class Speaker:
    """One connection in raw requests, and everything it was told, in words that do not depend on the broker."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self.group = group
        self.told: list[Any] = []
        self.owned: dict[str, dict[bytes, list[int]]] = {}
        host, port = bootstrap.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        self._numbers = itertools.count()
        self.admin = admin = AdminClient({"bootstrap.servers": bootstrap})
        if TOPIC not in admin.list_topics(timeout=TIMEOUT_S).topics:
            admin.create_topics([NewTopic(TOPIC, 4, 1)])[TOPIC].result(TIMEOUT_S)
        self._retried(ApiKey.FIND_COORDINATOR, 2, FindCoordinatorRequest(key=self.group))

    def close(self) -> None:
        self._socket.close()

    def ask(self, api: ApiKey, version: int, message: Any) -> Any:
        schema = request_schema(api)
        head = struct.pack(">hhihs", api, version, next(self._numbers), 1, b"c")
        frame = head + (b"\0" if version >= schema.flexible_from else b"") + encode(schema, version, message)
        self._socket.sendall(struct.pack(">i", len(frame)) + frame)
        answer = self._take(struct.unpack(">i", self._take(4))[0])
        schema = response_schema(api)
        return decode(schema, version, memoryview(answer), 5 if version >= schema.flexible_from else 4)

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            assert part, "the broker hung up"
            data += part
        return data

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


def malformed(it: Speaker) -> None:
    it.enter("")
    it.beat(" ", 1)
    it.enter("m", group_id=" ")
    it.enter("m", instance_id="")
    it.enter("m", rack_id=" ")
    it.enter("m", rebalance_timeout_ms=-1)
    it.enter("m", topic_partitions=None)
    it.enter("m", subscribed_topic_names=None)
    it.beat("m", -2)
    it.beat("m", -3)
    it.enter("m", server_assignor="sticky")
    it.beat("m", 1)
    it.beat("m", -1)


def epochs(it: Speaker) -> None:
    it.enter("m")
    it.enter("m")
    it.beat("m", 1)
    it.beat("m", 2)
    it.beat("n", 1)
    it.enter("n")
    it.beat("n", 2)
    it.describe()
    it.beat("m", 1)
    it.beat("m", 1)
    it.beat("n", 2)
    it.beat("m", 1, owned=True)
    it.beat("n", 2)
    it.beat("m", 1, owned=True)
    it.beat("m", 1, owned=0)
    it.beat("m", 1)
    it.enter("m")
    it.beat("m", 0, owned=True, rebalance_timeout_ms=1_000, subscribed_topic_names=[TOPIC])
    it.beat("m", 2, owned=True, rebalance_timeout_ms=60_000, subscribed_topic_names=[TOPIC])
    it.describe()
    it.shown()
    it.beat("n", -1)
    it.beat("m", 2)
    it.beat("m", -1)
    it.describe()
    it.shown()


def static_members(it: Speaker) -> None:
    it.enter("m", instance_id="one", rack_id="r")
    it.enter("n", instance_id="one")
    it.beat("n", 1, instance_id="one")
    it.beat("m", 1, instance_id="two")
    it.beat("m", -2, instance_id="one")
    it.describe()
    it.beat("m", 1, instance_id="one")
    it.enter("n", instance_id="one")
    it.describe()
    it.beat("m", 1, instance_id="one")
    it.beat("m", 1)
    it.beat("n", -1, instance_id="one")
    it.describe()


def expressions(it: Speaker) -> None:
    for regex in (
        "a[",
        "(",
        "[z-a]",
        "*a",
        "a**",
        "a{2,1}",
        "a{1001}",
        "(?=x)",
        r"\1",
        "\\",
        "(?P<n",
        "[[:x:]]",
        "(?z)",
    ):
        it.enter("m", subscribed_topic_names=None, subscribed_topic_regex=regex)
    it.enter("m", subscribed_topic_names=None, subscribed_topic_regex="orders-like.*")
    ends = time.monotonic() + TIMEOUT_S
    while it.beat("m", it.told[-1][6]).member_epoch < 2:
        assert time.monotonic() < ends, "the expression is not resolved"
        it.told.pop()
        time.sleep(0.05)
    it.describe()
    it.enter("n", subscribed_topic_names=[], subscribed_topic_regex="orders-like.*")
    it.describe()
    it.beat("m", -1)
    it.beat("n", -1)


def offsets(it: Speaker) -> None:
    it.commit("m", 1)
    it.delete_offset()
    it.enter("m")
    it.commit("m", 1)
    it.commit("m", 0)
    it.commit("m", 2)
    it.commit("m", -1)
    it.commit("x", 1)
    it.commit("", -1)
    it.commit("m", 1, version=8)
    it.fetch()
    it.fetch(member_id="m", member_epoch=1)
    it.fetch(member_id="m", member_epoch=2)
    it.fetch(member_id="x", member_epoch=1)
    it.fetch(member_id="m", member_epoch=-1)
    it.delete_offset()
    it.delete_offset("absent")
    it.delete_offset(TOPIC, 9)
    it.delete_offset(group="absent")
    it.beat("m", -1)
    it.commit("m", 1)
    it.commit("", -1)
    it.delete_offset()
    it.fetch()


def upgrade(it: Speaker) -> None:
    """A classic group of one, joined by a member of the new protocol, which leaves again."""
    asked = it.join()
    joined = it.join(asked.member_id)
    it.sync(joined)
    it.beat("n", 1)
    it.shown()
    it.enter("n")
    it.describe()
    it.shown()
    it.classic_beat(joined.member_id, joined.generation_id)
    it.sync(joined)
    again = it.join(joined.member_id)
    it.sync(again)
    it.classic_beat(joined.member_id, again.generation_id)
    it.beat("n", 2)
    it.classic_beat(joined.member_id, again.generation_id + 1)
    it.classic_beat("n", 2)
    it.commit(joined.member_id, again.generation_id)
    it.commit(joined.member_id, 9)
    it.describe()
    it.leave("nobody")
    it.leave("", "nobody")
    it.beat("n", -1)
    it.describe()
    it.classic_beat(joined.member_id, again.generation_id)
    it.join(joined.member_id)
    it.shown()


def classic_in_consumer(it: Speaker) -> None:
    """A classic member enters a consumer group; when it is alone the group is a classic one."""
    it.enter("m")
    it.join(protocol_type="connect")
    it.join(session_timeout_ms=1)
    asked = it.join()
    joined = it.join(asked.member_id)
    it.sync(joined, protocol_name="other")
    it.sync(joined, generation_id=7)
    it.sync(joined)
    it.describe()
    it.beat("m", 1)
    it.classic_beat(joined.member_id, joined.generation_id)
    it.beat("m", 1, owned=True)
    it.classic_beat(joined.member_id, joined.generation_id)
    again = it.join(joined.member_id)
    it.sync(again)
    it.classic_beat(joined.member_id, again.generation_id)
    it.describe()
    it.leave(joined.member_id)
    it.beat("m", 2)
    it.beat("m", -1)
    asked = it.join()
    # Kafka shows what is committed, and an assignment is answered when it is.
    it.sync(it.join(asked.member_id))
    it.shown()


def static_migration(it: Speaker) -> None:
    """A group of one static member goes to the new protocol and back, in place."""
    joined = it.join(group_instance_id="one")
    it.sync(joined, group_instance_id="one")
    it.enter("n", instance_id="one")
    it.describe()
    it.classic_beat(joined.member_id, joined.generation_id, "one")
    back = it.join(group_instance_id="one")
    it.sync(back, group_instance_id="one")
    it.shown()
    it.beat("n", 2, instance_id="one")
    it.enter("m")
    it.describe()
    again = it.join(group_instance_id="one")
    it.sync(again, group_instance_id="one")
    it.classic_beat(back.member_id, again.generation_id, "one")
    it.join(back.member_id, group_instance_id="one")
    it.describe()
    it.leave("", "one")
    it.describe()
    it.beat("m", -1)


def topic_changes(it: Speaker) -> None:
    """Topics come, grow and go under a member's feet."""
    name = "changing-like-kafka"
    it.enter("m", subscribed_topic_names=[TOPIC, name])
    it.admin.create_topics([NewTopic(name, 2, 1)])[name].result(TIMEOUT_S)
    beat_until(it, lambda answer: answer.member_epoch == 2)
    it.admin.create_partitions([NewPartitions(name, 3)])[name].result(TIMEOUT_S)
    beat_until(it, lambda answer: answer.member_epoch == 3)
    it.describe()
    it.admin.delete_topics([name])[name].result(TIMEOUT_S)
    beat_until(it, lambda answer: answer.assignment is not None)
    it.beat("m", 3, owned=True)
    it.describe()
    it.beat("m", -1)


def beat_until(it: Speaker, is_done: Callable[[Any], bool]) -> None:
    """Metadata takes its time; only the heartbeat that notices counts."""
    ends = time.monotonic() + TIMEOUT_S
    epoch = it.told[-1][6] if it.told[-1][0] == "beat" else it.told[-1][5]
    while not is_done(it.beat("m", epoch)):
        assert time.monotonic() < ends, "nothing has changed"
        it.told.pop()
        time.sleep(0.05)


SCRIPTS = [
    static_migration,
    topic_changes,
    malformed,
    epochs,
    static_members,
    expressions,
    offsets,
    upgrade,
    classic_in_consumer,
]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.timeout(300)
def test_answers_and_records_are_kafkas(node, kafka_node, script: Callable[[Speaker], None]):
    told, kept = [], []
    for broker in (node, kafka_node):
        speaker = Speaker(broker.bootstrap, script.__name__)
        try:
            script(speaker)
        finally:
            speaker.close()
        told.append(speaker.told)
        kept.append(stored(Path(broker.log_dir), script.__name__))
    assert told[0] == told[1]
    assert kept[0] == kept[1]


def stored(log_dir: Path, group: str) -> list[str]:
    """What lies in the log of the group's coordinator, sorted: within a decision Kafka follows the order of its hash tables.

    Ids, times and which partitions of a topic are left out.
    """
    found: list[str] = []
    for segment in sorted(log_dir.rglob("__consumer_offsets-*/*.log")):
        data = segment.read_bytes()
        for position, header in iterate(data):
            columns = records.decode(data[position : position + header.size])
            pairs = (decoded_contents(OFFSETS, k, v) for k, v in zip(columns.keys, columns.values, strict=True))
            rows = [f"{pair['key']} {pair['payload']}" for pair in pairs]
            found += [neutral(row) for row in rows if f'"{group}"' in row.split(" ")[0]]
    return sorted(found)


def neutral(row: str) -> str:
    row = re.sub(r"[\w-]*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "id", row)
    row = re.sub(r'"(memberId|topicId|leader)":"[\w-]{22}"', r'"\1":"id"', row)
    row = re.sub(r'"(metadataHash|commitTimestamp|timestamp|version|currentStateTimestamp)":-?\d+', r'"\1":0', row)
    row = re.sub(r'\{"topicId":"id","partitions":\[([\d,]*)\]\}', lambda found: f"{len(found[1].split(','))}", row)
    row = re.sub(r'"partitions":\[([\d,]*)\]', lambda found: f"{len(found[1].split(','))} partitions", row)
    return re.sub(r"\[(\d+(?:,\d+)+)\]", lambda found: ",".join(sorted(found[1].split(","))), row)
