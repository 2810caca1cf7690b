"""One member of a classic group. Source: Kafka's `ClassicGroupMember`, 4.1."""

from __future__ import annotations

from typing import Any

from mainstem.core.group.commands import MemberProtocol


class Member:
    """`join_token` and `sync_token` are set while the member is parked in that request. `is_new` until its
    first join ends."""

    __slots__ = (
        "assignment",
        "client_host",
        "client_id",
        "group_instance_id",
        "is_new",
        "join_token",
        "member_id",
        "protocols",
        "rebalance_timeout_ms",
        "session_timeout_ms",
        "sync_token",
    )

    def __init__(
        self,
        *,
        member_id: str,
        group_instance_id: str | None,
        client_id: str,
        client_host: str,
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
        protocols: tuple[MemberProtocol, ...],
        assignment: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.client_id = client_id
        self.client_host = client_host
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.session_timeout_ms = session_timeout_ms
        self.protocols = protocols
        self.assignment = assignment
        self.is_new = False
        self.join_token: Any = None
        self.sync_token: Any = None

    @property
    def is_awaiting_join(self) -> bool:
        return self.join_token is not None

    @property
    def is_parked(self) -> bool:
        return self.join_token is not None or self.sync_token is not None

    def satisfies_heartbeat(self) -> bool:
        """A parked member cannot send heartbeats, so it counts as alive; a new one is timed out even while
        parked, since
        it may have retried under another id."""
        return not self.is_new and self.is_parked

    def metadata(self, protocol_name: str | None) -> bytes:
        """For a protocol that the whole group chose."""
        found = self.find_metadata(protocol_name)
        assert found is not None, f"member {self.member_id} has no protocol {protocol_name!r}"
        return found

    def find_metadata(self, protocol_name: str | None) -> bytes | None:
        return next((p.metadata for p in self.protocols if p.name == protocol_name), None)
