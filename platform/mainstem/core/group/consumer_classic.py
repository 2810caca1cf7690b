"""Members of the classic protocol in a consumer group: the server assigns, and they get their part through Join and Sync.

A classic member's generation is its member epoch. When it has to move, its heartbeat says REBALANCE_IN_PROGRESS; it rejoins,
naming what it still owns, and syncs. Nobody waits for anybody. Source: Kafka's `GroupMetadataManager.classicGroup*ToConsumerGroup`,
4.1.
"""

from __future__ import annotations

import msgspec

from mainstem.core.group.commands import Heartbeat, JoinGroup, LeaveGroup, SyncGroup
from mainstem.core.group.consumer_fencing import fence
from mainstem.core.group.consumer_heartbeat import (
    Joining,
    group_full_problem,
    instance_problem,
    replace_static,
    settle_member,
)
from mainstem.core.group.consumer_liveness import renew_session, resync_timer, time_rejoin, time_resync
from mainstem.core.group.consumer_member import ConsumerMember, MemberState
from mainstem.core.group.consumer_protocol import (
    ConsumerProtocolError,
    Subscription,
    read_subscription,
    read_version,
    write_assignment,
)
from mainstem.core.group.consumer_records import ClassicMetadata
from mainstem.core.group.consumer_state import CONSUMER_PROTOCOL_TYPE, ConsumerGroup
from mainstem.core.group.conversion import (
    by_topic_id,
    by_topic_name,
    classic_member,
    downgrade_by_replacing,
    may_downgrade_by_replacing,
)
from mainstem.core.group.refusal import Refusal
from mainstem.core.group.results import HeartbeatResult, JoinResult, LeaveResult, LeftMember, SyncResult
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode


def join(turn: Turn, group: ConsumerGroup, command: JoinGroup) -> None:
    result = _join(turn, group, command)
    if isinstance(result, Refusal):
        turn.take_back()
        result = JoinResult(error=result.error)
    turn.reply(command.token, result)


def _join(turn: Turn, group: ConsumerGroup, command: JoinGroup) -> JoinResult | Refusal:
    full = group_full_problem(turn.settings, group, command.member_id)
    if full is not None:
        return full
    if not group.supports_classic(command.protocol_type, (p.name for p in command.protocols)):
        return Refusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    try:
        subscription = read_subscription(command.protocols[0].metadata)
    except ConsumerProtocolError:
        return Refusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    member_id = command.member_id or command.new_member_id
    if not command.member_id and command.group_instance_id is None and command.requires_member_id:
        return JoinResult(error=ErrorCode.MEMBER_ID_REQUIRED, member_id=member_id)
    joining = _joining(turn, group, command, member_id)
    if isinstance(joining, Refusal):
        return joining
    member = _with_request(joining.start, command, subscription)
    must_bump = False
    if member != joining.start:
        turn.write(member.subscription_record(group.group_id))
        must_bump = member.topics != joining.start.topics
    owned = by_topic_id(turn.cluster, subscription.owned)
    settled = settle_member(turn, group, joining, member, must_bump, owned)
    if isinstance(settled, Refusal):
        return settled
    replaced = group.static_member(command.group_instance_id)
    if replaced is not None and may_downgrade_by_replacing(turn, group, replaced):
        downgrade_by_replacing(turn, group, replaced, settled)
    else:
        renew_session(turn, group, member_id, command.session_timeout_ms)
        time_resync(turn, group, settled)
    return JoinResult(
        member_id=member_id,
        generation=settled.member_epoch,
        protocol_type=CONSUMER_PROTOCOL_TYPE,
        protocol_name=command.protocols[0].name,
    )


def _joining(turn: Turn, group: ConsumerGroup, command: JoinGroup, member_id: str) -> Joining | Refusal:
    if command.group_instance_id is None:
        known = group.members.get(member_id)
        return Joining(known, known or ConsumerMember(member_id=member_id))
    known = group.static_member(command.group_instance_id)
    if command.member_id:
        problem = instance_problem(known, member_id, command.group_instance_id)
        if problem is not None:
            return problem
        assert known is not None, "instance_problem refuses unknown instances"
        return Joining(known, known)
    return (
        Joining(None, ConsumerMember(member_id=member_id))
        if known is None
        else replace_static(turn, group, known, member_id)
    )


def _with_request(member: ConsumerMember, command: JoinGroup, subscription: Subscription) -> ConsumerMember:
    timeout_ms = command.rebalance_timeout_ms
    said = msgspec.structs.replace(
        member,
        instance_id=member.instance_id if command.group_instance_id is None else command.group_instance_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout_ms == -1 else timeout_ms,
        client_id=command.client_id,
        client_host=command.client_host,
        classic=ClassicMetadata(session_timeout_ms=command.session_timeout_ms, protocols=command.protocols),
    )
    return classic_member(said, subscription)


def sync(turn: Turn, group: ConsumerGroup, command: SyncGroup) -> None:
    result = _sync(turn, group, command)
    turn.reply(command.token, SyncResult(error=result.error) if isinstance(result, Refusal) else result)


def _sync(turn: Turn, group: ConsumerGroup, command: SyncGroup) -> SyncResult | Refusal:
    member = _classic_member(group, command)
    if isinstance(member, Refusal):
        return member
    assert member.classic is not None, "_classic_member refuses others"
    protocol = member.classic.protocols[0]
    if command.protocol_type not in (None, CONSUMER_PROTOCOL_TYPE) or command.protocol_name not in (
        None,
        protocol.name,
    ):
        return Refusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if group.epoch > member.member_epoch and member.state is not MemberState.UNREVOKED_PARTITIONS:
        # One that has to revoke has rejoined already; it ends that first.
        time_rejoin(turn, group, member)
        return Refusal(ErrorCode.REBALANCE_IN_PROGRESS)
    turn.cancel(resync_timer(group.group_id, member.member_id))
    renew_session(turn, group, member.member_id, member.classic.session_timeout_ms)
    return SyncResult(
        protocol_type=command.protocol_type,
        protocol_name=command.protocol_name,
        assignment=write_assignment(by_topic_name(turn.cluster, member.assigned), read_version(protocol.metadata)),
    )


def heartbeat(turn: Turn, group: ConsumerGroup, command: Heartbeat) -> None:
    turn.reply(command.token, HeartbeatResult(error=_heartbeat(turn, group, command)))


def _heartbeat(turn: Turn, group: ConsumerGroup, command: Heartbeat) -> ErrorCode:
    member = _classic_member(group, command)
    if isinstance(member, Refusal):
        return member.error
    assert member.classic is not None, "_classic_member refuses others"
    renew_session(turn, group, member.member_id, member.classic.session_timeout_ms)
    must_rejoin = (
        member.member_epoch < group.epoch
        or member.state is MemberState.UNREVOKED_PARTITIONS
        or (member.state is MemberState.UNRELEASED_PARTITIONS and not group.waits_for_release(member))
    )
    if not must_rejoin:
        return ErrorCode.NONE
    time_rejoin(turn, group, member)
    return ErrorCode.REBALANCE_IN_PROGRESS


def _classic_member(group: ConsumerGroup, command: SyncGroup | Heartbeat) -> ConsumerMember | Refusal:
    """Who asks, if it is a classic member of that generation."""
    if command.group_instance_id is None:
        member = group.members.get(command.member_id)
    else:
        member = group.static_member(command.group_instance_id)
        problem = instance_problem(member, command.member_id, command.group_instance_id)
        if problem is not None:
            return problem
    if member is None or not member.speaks_classic:
        return Refusal(ErrorCode.UNKNOWN_MEMBER_ID)
    if member.member_epoch != command.generation:
        return Refusal(ErrorCode.ILLEGAL_GENERATION)
    return member


def leave(turn: Turn, group: ConsumerGroup, command: LeaveGroup) -> None:
    """An administrator may take static members out by instance id alone, of either protocol."""
    left: list[LeftMember] = []
    gone: dict[str, ConsumerMember] = {}
    for leaving in command.members:
        problem: Refusal | None = None
        if leaving.group_instance_id is None:
            member = group.members.get(leaving.member_id)
            problem = Refusal(ErrorCode.UNKNOWN_MEMBER_ID) if member is None else None
        else:
            member = group.static_member(leaving.group_instance_id)
            known_id = leaving.member_id or ("" if member is None else member.member_id)
            problem = instance_problem(member, known_id, leaving.group_instance_id)
        error = ErrorCode.NONE if problem is None else problem.error
        left.append(LeftMember(leaving.member_id, leaving.group_instance_id, error))
        if member is not None and problem is None:
            gone[member.member_id] = member
    fence(turn, group, list(gone.values()), "an explicit LeaveGroup")
    turn.reply(command.token, LeaveResult(members=tuple(left)))
