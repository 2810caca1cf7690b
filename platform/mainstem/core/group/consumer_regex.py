"""Subscriptions by regular expression: checked when a member brings one, resolved to topics a moment later, all of a group at once.

    heartbeat ──(timer of 0 ms)──> RefreshRegexes ──> RegexStored, new group epoch if topics changed ──> next heartbeat assigns

Source: Kafka's `GroupMetadataManager.maybeUpdateRegularExpressions` and `handleRegularExpressionsResult`, 4.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

import msgspec

from mainstem.core.group.commands import RefreshRegexes
from mainstem.core.group.consumer_member import ConsumerMember
from mainstem.core.group.consumer_metadata import REFRESH_INTERVAL_MS, hash_of_topics
from mainstem.core.group.consumer_records import ConsumerGroupStored, RegexRemoved, RegexStored
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.refusal import Refusal
from mainstem.core.group.turn import Turn
from mainstem.core.regular_expression import matching_names, regex_problem
from mainstem.model.errors import ErrorCode

REFRESH_AT_MOST_EVERY_MS = 10_000


class RegexChange(msgspec.Struct, frozen=True):
    must_bump: bool = False


def update_regexes(
    turn: Turn, group: ConsumerGroup, old: ConsumerMember | None, updated: ConsumerMember
) -> RegexChange | Refusal:
    before, after = (old.regex if old is not None else None) or None, updated.regex or None
    must_bump = must_refresh = False
    if before != after:
        if before is not None and group.regex_members[before] == 1:
            turn.write(RegexRemoved(group_id=group.group_id, regex=before))
        if after is not None and group.regex_members[after] == 0:
            problem = regex_problem(after)
            if problem is not None:
                return Refusal(
                    ErrorCode.INVALID_REGULAR_EXPRESSION,
                    f"SubscribedTopicRegex `{after}` is not a valid regular expression: {problem}.",
                )
            must_refresh = True
        elif after is not None:
            must_bump = after in group.regexes
    if must_refresh or group.regex_members:
        _schedule(turn, group, before, after, must_refresh)
    return RegexChange(must_bump)


def _schedule(turn: Turn, group: ConsumerGroup, before: str | None, after: str | None, must_refresh: bool) -> None:
    """All expressions of a group are resolved together, so that they cause one rebalance at most."""
    last = next(iter(group.regexes.values()), None)
    # A wall clock that was set back must not put the next refresh off.
    if last is not None and 0 <= turn.now_ms - last.resolved_at_ms <= REFRESH_AT_MOST_EVERY_MS:
        return
    subscribed = group.regex_members
    if before != after:
        subscribed = Counter(subscribed)
        subscribed.subtract(filter(None, (before,)))
        subscribed.update(filter(None, (after,)))
        subscribed = +subscribed
    must_refresh = (
        must_refresh
        or len(subscribed) != len(group.regexes)
        or (0 if last is None else last.version) < turn.cluster.version
        or (last is not None and turn.now_ms > last.resolved_at_ms + turn.settings.consumer_regex_refresh_interval_ms)
    )
    if must_refresh and subscribed:
        turn.wake(regex_timer(group.group_id), 0, RefreshRegexes(group_id=group.group_id))


def regex_timer(group_id: str) -> Hashable:
    return ("regexes", group_id)


def refresh_regexes(turn: Turn, group: ConsumerGroup) -> None:
    cluster = turn.cluster
    by_name = group.subscribed_names_after((), None, tuple(group.regexes))
    found: dict[str, frozenset[str]] = {}
    has_changed = False
    for regex in group.regex_members:
        topics = matching_names(regex, cluster.topic_names())
        resolved = group.regexes.get(regex)
        has_changed = has_changed or topics != (frozenset() if resolved is None else resolved.topics)
        found[regex] = topics
        turn.write(
            RegexStored(
                group_id=group.group_id,
                regex=regex,
                topics=tuple(sorted(topics)),
                version=cluster.version,
                resolved_at_ms=turn.now_ms,
            )
        )
    metadata_hash = hash_of_topics(cluster, by_name.union(*found.values()))
    if has_changed or metadata_hash != group.metadata_hash:
        epoch = group.epoch + 1
        turn.write(ConsumerGroupStored(group_id=group.group_id, epoch=epoch, metadata_hash=metadata_hash))
        turn.note("group.epoch_bumped", group_id=group.group_id, epoch=epoch)
        group.metadata_is_fresh_until(turn.now_ms + REFRESH_INTERVAL_MS, epoch)
