"""What groups persist, as values. `wire.stored` turns them into Kafka's bytes and back. Times in ms since
1970."""

from __future__ import annotations

import msgspec

from mainstem.core.group.consumer_records import ConsumerRecord
from mainstem.model.ids import NO_TOPIC_ID


class GroupMember(msgspec.Struct, frozen=True, kw_only=True):
    """`subscription` is the member's metadata for the chosen protocol, `assignment` what the leader gave
    it."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


class GroupStored(msgspec.Struct, frozen=True, kw_only=True):
    """One generation of a classic group. `protocol_type` is empty while nobody joined; `state_since_ms` -1 if
    unknown."""

    group_id: str
    protocol_type: str
    generation: int
    protocol: str | None
    leader: str | None
    state_since_ms: int
    members: tuple[GroupMember, ...]


class GroupRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str


class OffsetStored(msgspec.Struct, frozen=True, kw_only=True):
    """`leader_epoch` is -1 if the client gave none; `expire_at_ms` None unless the commit carried its own
    retention."""

    group_id: str
    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str
    committed_at_ms: int
    expire_at_ms: int | None = None
    topic_id: bytes = NO_TOPIC_ID


class OffsetRemoved(msgspec.Struct, frozen=True, kw_only=True):
    group_id: str
    topic: str
    partition: int


GroupRecord = GroupStored | GroupRemoved | OffsetStored | OffsetRemoved | ConsumerRecord
