"""Record type 2 of `__consumer_offsets`: one generation of a classic group. As
schemas/records/GroupMetadata*.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mainstem.wire.schema import Field, Message
from mainstem.wire.stored.layout import StoredSchema


class GroupMetadataKey(Message, frozen=True, kw_only=True):
    group: str = ""

    layout: ClassVar[tuple[Field, ...]] = (Field("group", "string", 2, 2, None, None),)


class MemberMetadata(Message, frozen=True, kw_only=True):
    """Timeouts in ms. `rebalance_timeout` is -1 in version 0, where the session timeout served for both."""

    member_id: str = ""
    group_instance_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout: int = -1
    session_timeout: int = 0
    subscription: bytes = b""
    assignment: bytes = b""

    layout: ClassVar[tuple[Field, ...]] = (
        Field("member_id", "string", 0, 4, None, None),
        Field("group_instance_id", "string", 3, 4, (3, 4), None),
        Field("client_id", "string", 0, 4, None, None),
        Field("client_host", "string", 0, 4, None, None),
        Field("rebalance_timeout", "int32", 1, 4, None, None),
        Field("session_timeout", "int32", 0, 4, None, None),
        Field("subscription", "bytes", 0, 4, None, None),
        Field("assignment", "bytes", 0, 4, None, None),
    )


class GroupMetadataValue(Message, frozen=True, kw_only=True):
    protocol_type: str = ""
    generation: int = 0
    protocol: str | None = None
    leader: str | None = None
    current_state_timestamp: int = -1
    members: Sequence[MemberMetadata] = ()

    layout: ClassVar[tuple[Field, ...]] = (
        Field("protocol_type", "string", 0, 4, None, None),
        Field("generation", "int32", 0, 4, None, None),
        Field("protocol", "string", 0, 4, (0, 4), None),
        Field("leader", "string", 0, 4, (0, 4), None),
        Field("current_state_timestamp", "int64", 2, 4, None, None),
        Field("members", "[]MemberMetadata", 0, 4, None, None),
    )


KEY = StoredSchema(GroupMetadataKey, versions=(2, 2), flexible_from=None)
VALUE = StoredSchema(GroupMetadataValue, versions=(0, 4), flexible_from=4)
