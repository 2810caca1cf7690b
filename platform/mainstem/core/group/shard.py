"""All groups of one partition of `__consumer_offsets`: the state machine that a coordinator runs.

`decide` may change soft state (who is parked, pending ids), `apply` changes what is persisted. The caller
appends a
decision's records, applies them in order, and hands out the replies once they are committed; a decision that
could not be
appended is given to `reject`, which puts the groups concerned back to what is persisted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from mainstem.core.decision import Decision
from mainstem.core.group import (
    administration,
    classic_join,
    classic_liveness,
    classic_rebalance,
    classic_sync,
    consumer_classic,
    consumer_description,
    consumer_fencing,
    consumer_regex,
    consumer_requests,
    offsets,
    transactional_offsets,
)
from mainstem.core.group.classic_state import ClassicGroup, GroupState
from mainstem.core.group.cluster_view import ClusterView, NoCluster
from mainstem.core.group.commands import (
    CommitOffsets,
    CommitTransactionalOffsets,
    ConsumerHeartbeat,
    DeleteOffsets,
    DescribeConsumerGroup,
    DescribeGroup,
    ExpireOffsets,
    FetchOffsets,
    GroupCommand,
    Heartbeat,
    InitialDelayOver,
    JoinGroup,
    JoinPhaseExpired,
    LeaveGroup,
    ListGroups,
    RefreshRegexes,
    RejoinExpired,
    RemoveGroup,
    RemoveTopicOffsets,
    ResyncExpired,
    RevocationExpired,
    SessionExpired,
    SyncGroup,
    SyncPhaseExpired,
    TopicsChanged,
)
from mainstem.core.group.consumer_records import ConsumerGroupStored, ConsumerMemberRemoved
from mainstem.core.group.consumer_requests import Group
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.conversion import write_consumer_removal
from mainstem.core.group.counters import GroupCounters
from mainstem.core.group.offset_store import OffsetStore
from mainstem.core.group.records import (
    GroupRecord,
    GroupRemoved,
    GroupStored,
    OffsetRemoved,
    OffsetStored,
)
from mainstem.core.group.results import JoinResult
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.turn import Turn
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import NO_PRODUCER_ID

EXPIRY_TIMER = ("expire-offsets",)

GroupTimer = (
    SessionExpired
    | JoinPhaseExpired
    | InitialDelayOver
    | SyncPhaseExpired
    | RevocationExpired
    | RejoinExpired
    | ResyncExpired
    | RefreshRegexes
)


class GroupShard:
    """Begins in replay: `apply` takes records as they are until `loaded` is called, once."""

    def __init__(self, settings: GroupSettings, cluster: ClusterView | None = None) -> None:
        self.settings = settings
        self.groups: dict[str, Group] = {}
        self.offsets = OffsetStore()
        self.counters = GroupCounters()
        self._cluster = cluster or NoCluster()
        self._arriving: dict[str, ClassicGroup] = {}
        self._is_replaying = True

    # --- deciding -------------------------------------------------------------------------------------------

    def decide(self, command: GroupCommand, now_ms: int) -> Decision[GroupRecord]:
        assert not self._is_replaying, "a shard decides nothing before it is loaded"
        turn = self._turn(now_ms)
        match command:
            case JoinGroup():
                self._join(turn, command)
            case SyncGroup() | Heartbeat() | LeaveGroup():
                self._member_request(turn, command)
            case ConsumerHeartbeat():
                consumer_requests.consumer_heartbeat(turn, self.groups, command)
            case CommitOffsets():
                offsets.commit(turn, self.groups.get(command.group_id), command)
            case CommitTransactionalOffsets():
                transactional_offsets.commit(turn, self.groups.get(command.group_id), command)
            case FetchOffsets():
                offsets.fetch(turn, self.groups.get(command.group_id), self.offsets, command)
            case DeleteOffsets() | RemoveTopicOffsets() | ExpireOffsets():
                self._remove_offsets(turn, command)
            case DescribeGroup() | DescribeConsumerGroup() | ListGroups() | RemoveGroup():
                self._administer(turn, command)
            case (
                SessionExpired()
                | JoinPhaseExpired()
                | InitialDelayOver()
                | SyncPhaseExpired()
                | RevocationExpired()
                | RejoinExpired()
                | ResyncExpired()
                | RefreshRegexes()
            ):
                self._group_timer(turn, command)
            case TopicsChanged():
                for group in self.groups.values():
                    if isinstance(group, ConsumerGroup) and any(map(group.is_subscribed, command.topics)):
                        group.request_metadata_refresh()
            case _:
                assert_never(command)
        self._arriving = {group.group_id: group for group in turn.arrivals}
        return turn.decision

    def _turn(self, now_ms: int) -> Turn:
        return Turn(self.settings, now_ms, self._cluster)

    def _administer(
        self, turn: Turn, command: DescribeGroup | DescribeConsumerGroup | ListGroups | RemoveGroup
    ) -> None:
        match command:
            case DescribeGroup():
                administration.describe(turn, self.groups.get(command.group_id), command)
            case DescribeConsumerGroup():
                consumer_description.describe(turn, self.groups.get(command.group_id), command)
            case ListGroups():
                administration.list_groups(turn, self.groups.values(), command)
            case RemoveGroup():
                administration.remove(turn, self.groups.get(command.group_id), self.offsets, command)

    def _remove_offsets(self, turn: Turn, command: DeleteOffsets | RemoveTopicOffsets | ExpireOffsets) -> None:
        turn.decision.atomic = False
        match command:
            case DeleteOffsets():
                offsets.delete(turn, self.groups.get(command.group_id), self.offsets, command)
                self.counters.offset_deletions += _removed_offsets(turn)
            case RemoveTopicOffsets():
                for group_id in self.groups:
                    offsets.remove_topics(turn, group_id, command.topics, self.offsets)
            case ExpireOffsets():
                self._expire(turn, command)

    def _join(self, turn: Turn, command: JoinGroup) -> None:
        problem = classic_join.join_problem(turn, command)
        group = self.groups.get(command.group_id)
        is_new = group is None or (isinstance(group, ConsumerGroup) and group.is_empty)
        if problem is ErrorCode.NONE and is_new and command.member_id:
            problem = ErrorCode.UNKNOWN_MEMBER_ID
        if problem is not ErrorCode.NONE:
            turn.reply(command.token, JoinResult(error=problem, member_id=command.member_id))
            return
        if isinstance(group, ConsumerGroup) and not is_new:
            consumer_classic.join(turn, group, command)
            return
        if not isinstance(group, ClassicGroup):
            group = self._new_classic(turn, group, command.group_id)
        classic_join.join(turn, group, command)

    def _new_classic(self, turn: Turn, empty: ConsumerGroup | None, group_id: str) -> ClassicGroup:
        group = ClassicGroup(group_id, turn.now_ms)
        if empty is None:
            self.groups[group_id] = group
        else:
            write_consumer_removal(turn, empty, ())
            turn.arrivals.append(group)
        turn.write(group.stored({}))
        return group

    def _member_request(self, turn: Turn, command: SyncGroup | Heartbeat | LeaveGroup) -> None:
        group = self.groups.get(command.group_id)
        if not command.group_id:
            turn.reply(command.token, command.refused(ErrorCode.INVALID_GROUP_ID))
        elif group is None:
            turn.reply(command.token, command.refused(ErrorCode.UNKNOWN_MEMBER_ID))
        elif isinstance(command, SyncGroup):
            if isinstance(group, ConsumerGroup):
                consumer_classic.sync(turn, group, command)
            else:
                classic_sync.sync(turn, group, command)
        elif isinstance(command, Heartbeat):
            if isinstance(group, ConsumerGroup):
                consumer_classic.heartbeat(turn, group, command)
            else:
                classic_liveness.heartbeat(turn, group, command)
        elif isinstance(group, ConsumerGroup):
            consumer_classic.leave(turn, group, command)
        else:
            classic_liveness.leave(turn, group, command)

    def _group_timer(self, turn: Turn, command: GroupTimer) -> None:
        """Timers of a protocol that the group has left since find nothing to do."""
        group = self.groups.get(command.group_id)
        if isinstance(group, ConsumerGroup):
            match command:
                case SessionExpired() | RevocationExpired() | RejoinExpired() | ResyncExpired():
                    consumer_fencing.member_is_late(turn, group, command)
                case RefreshRegexes():
                    consumer_regex.refresh_regexes(turn, group)
        elif group is not None:
            match command:
                case SessionExpired():
                    classic_liveness.session_expired(turn, group, command)
                case JoinPhaseExpired():
                    if group.state is GroupState.PREPARING_REBALANCE:
                        classic_rebalance.complete(turn, group)
                case InitialDelayOver():
                    classic_rebalance.initial_delay_over(turn, group, command)
                case SyncPhaseExpired():
                    classic_rebalance.sync_phase_expired(turn, group, command)

    def _expire(self, turn: Turn, command: ExpireOffsets) -> None:
        for group in self.groups.values():
            if offsets.expire(turn, group, self.offsets):
                administration.write_removal_if_empty(turn, group)
        self.counters.offset_expirations += _removed_offsets(turn)
        turn.wake(EXPIRY_TIMER, self.settings.offsets_retention_check_interval_ms, command)

    # --- state ----------------------------------------------------------------------------------------------

    def apply(self, record: GroupRecord, *, offset: int, producer_id: int = NO_PRODUCER_ID) -> None:
        """Take a record that is in the log at `offset`; in replay also what others wrote. `producer_id` of a
        transaction."""
        match record:
            case GroupStored():
                self._apply_group(record)
            case GroupRemoved():
                self.groups.pop(record.group_id, None)
            case OffsetStored():
                self.counters.offset_commits += 1
                self.offsets.put(record, offset, producer_id)
                self._hold_offsets_of(record.group_id, record.committed_at_ms)
            case OffsetRemoved():
                self.offsets.remove(record)
            case ConsumerGroupStored():
                self.counters.consumer_rebalances += 1
                consumer_requests.apply_consumer_record(self.groups, record)
            case _:
                consumer_requests.apply_consumer_record(self.groups, record)

    def _apply_group(self, record: GroupStored) -> None:
        group = self._arriving.pop(record.group_id, None) or self.groups.get(record.group_id)
        if self._is_replaying or not isinstance(group, ClassicGroup):
            self.groups[record.group_id] = ClassicGroup.from_stored(record)
        else:
            self.groups[record.group_id] = group
            was_awaited = group.state is GroupState.COMPLETING_REBALANCE
            group.settle(record)
            self.counters.classic_rebalances += was_awaited and group.state is GroupState.STABLE

    def _hold_offsets_of(self, group_id: str, now_ms: int) -> None:
        """Offsets without a group make a simple one, which nothing but its offsets keeps (no record of its
        own)."""
        if group_id not in self.groups:
            self.groups[group_id] = ClassicGroup(group_id, now_ms)

    def end_transaction(self, producer_id: int, committed: bool) -> None:
        self.offsets.end_transaction(producer_id, committed)

    def loaded(self, now_ms: int) -> Decision[GroupRecord]:
        """Replay is over. Members get a whole session to show up again; groups in excess of `group.max.size`
        rebalance."""
        self._is_replaying = False
        self.counters = GroupCounters()
        turn = self._turn(now_ms)
        for group in self.groups.values():
            if isinstance(group, ConsumerGroup):
                consumer_requests.resume(turn, group)
                continue
            for member in group.members.values():
                classic_rebalance.renew_session(turn, group, member)
            if len(group.members) > self.settings.group_max_size:
                classic_rebalance.prepare(turn, group, "the group was loaded with more members than allowed")
        turn.wake(EXPIRY_TIMER, self.settings.offsets_retention_check_interval_ms, ExpireOffsets())
        return turn.decision

    def reject(self, records: Sequence[GroupRecord], error: ErrorCode, now_ms: int) -> Decision[GroupRecord]:
        """`records` were decided and could not be written; their replies were refused with `error`, their timers not
        set.

        The groups go on as Kafka's do. Offsets need nothing, they change by `apply` alone.
        """
        turn = self._turn(now_ms)
        for record in records:
            group = self.groups.get(getattr(record, "group_id", ""))
            if isinstance(record, GroupStored):
                self._reject_group(turn, record, error)
            elif isinstance(record, GroupRemoved) and isinstance(group, ClassicGroup):
                for member in group.members.values():
                    # They were told to rejoin, for a conversion that did not happen; parked ones had no session to end.
                    classic_rebalance.renew_session(turn, group, member)
            elif isinstance(record, ConsumerMemberRemoved) and isinstance(group, ConsumerGroup):
                consumer_requests.resume_members(turn, group, {record.member_id})
        # Among what was refused may have been the search for expired offsets, with the timer that repeats it.
        turn.wake(EXPIRY_TIMER, self.settings.offsets_retention_check_interval_ms, ExpireOffsets())
        return turn.decision

    def _reject_group(self, turn: Turn, record: GroupStored, error: ErrorCode) -> None:
        arriving = self._arriving.pop(record.group_id, None)
        group = arriving or self.groups[record.group_id]
        assert isinstance(group, ClassicGroup), "a consumer group writes no generations"
        if arriving is not None:
            # The consumer group stays what it is.
            for member in arriving.members.values():
                refused = JoinResult(error=error, member_id=member.member_id)
                classic_rebalance.answer_join(turn, arriving, member, refused)
        elif not record.members and record.generation > group.generation:
            # Nobody is left. Should this coordinator fail before the next generation is written, the members of the
            # last one would be back for as long as their sessions last.
            group.become_empty(record)
        elif not record.members:
            for member in group.members.values():
                refused = JoinResult(error=error, member_id=member.member_id)
                classic_rebalance.answer_join(turn, group, member, refused)
            del self.groups[group.group_id]
        elif group.state is GroupState.COMPLETING_REBALANCE:
            for member in group.members.values():
                # Parked members had no session to end, and the timers that would have begun one were not set.
                classic_rebalance.renew_session(turn, group, member)
            classic_rebalance.prepare(turn, group, f"the assignment could not be stored: {error.name}")
        else:
            group.put_back_replaced()

    # --- looking --------------------------------------------------------------------------------------------

    def persisted(self) -> Iterator[GroupRecord]:
        """What a replay of the log would find; for tests and tools."""
        for group in self.groups.values():
            if isinstance(group, ClassicGroup) and group.persisted is not None:
                yield group.persisted
            for entry in self.offsets.of_group(group.group_id).values():
                yield entry.stored


def _removed_offsets(turn: Turn) -> int:
    return sum(isinstance(record, OffsetRemoved) for record in turn.decision.records)
