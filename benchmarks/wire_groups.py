"""Requests of a group member and the readers of their answers, which are given without their length.

The last versions with the plain encoding: FindCoordinator 2, JoinGroup 5, SyncGroup 3, Heartbeat 3, OffsetCommit 7.
"""

import struct
from dataclasses import dataclass

from wire import framed, string

_OFFSET_COMMIT, _FIND_COORDINATOR, _JOIN_GROUP, _HEARTBEAT, _SYNC_GROUP = 8, 10, 11, 12, 14
_SESSION_TIMEOUT_MS = 45_000
_REBALANCE_TIMEOUT_MS = 60_000
_NULL_STRING = struct.pack(">h", -1)


@dataclass(frozen=True)
class Membership:
    """Who a member is once the group has formed."""

    group_id: str
    member_id: str
    generation_id: int

    def fields(self) -> bytes:
        identity = string(self.group_id) + struct.pack(">i", self.generation_id) + string(self.member_id)
        return identity + _NULL_STRING


def find_coordinator_request(group_id: str) -> bytes:
    return framed(_FIND_COORDINATOR, 2, string(group_id) + b"\x00")


def read_find_coordinator(answer: bytes) -> int:
    """The error code."""
    (error,) = struct.unpack_from(">h", answer, 8)
    return int(error)


def join_group_request(group_id: str, member_id: str) -> bytes:
    body = string(group_id) + struct.pack(">ii", _SESSION_TIMEOUT_MS, _REBALANCE_TIMEOUT_MS)
    body += string(member_id) + _NULL_STRING + string("consumer") + struct.pack(">i", 1) + string("range")
    # The subscription: version 0, no topics, no user data.
    subscription = struct.pack(">hii", 0, 0, -1)
    return framed(_JOIN_GROUP, 5, body + struct.pack(">i", len(subscription)) + subscription)


def read_join_group(answer: bytes) -> tuple[int, int, str]:
    """Error code, generation and the member id the broker has given."""
    error, generation_id = struct.unpack_from(">hi", answer, 8)
    at = 14
    for _ in ("protocol name", "leader"):
        (size,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(size, 0)
    (size,) = struct.unpack_from(">h", answer, at)
    return error, generation_id, answer[at + 2 : at + 2 + size].decode()


def sync_group_request(membership: Membership) -> bytes:
    assignment = struct.pack(">hii", 0, 0, -1)
    body = membership.fields() + struct.pack(">i", 1) + string(membership.member_id)
    return framed(_SYNC_GROUP, 3, body + struct.pack(">i", len(assignment)) + assignment)


def heartbeat_request(membership: Membership) -> bytes:
    return framed(_HEARTBEAT, 3, membership.fields())


def read_error(answer: bytes | memoryview) -> int:
    """The error code of an answer to SyncGroup or Heartbeat."""
    (error,) = struct.unpack_from(">h", answer, 8)
    return int(error)


def offset_commit_request(membership: Membership, topic: str) -> tuple[bytes, int]:
    """A frame that commits an offset of partition 0, and where in it the offset lies."""
    body = membership.fields() + struct.pack(">i", 1) + string(topic) + struct.pack(">ii", 1, 0)
    offset_at = len(framed(_OFFSET_COMMIT, 7, body))
    return framed(_OFFSET_COMMIT, 7, body + struct.pack(">qi", 0, -1) + string("")), offset_at


def read_offset_commit(answer: bytes | memoryview) -> int:
    """The error code of the only partition."""
    (size,) = struct.unpack_from(">h", answer, 12)
    (error,) = struct.unpack_from(">h", answer, 14 + size + 4 + 4)
    return int(error)
