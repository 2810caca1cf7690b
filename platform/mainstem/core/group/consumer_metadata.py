"""When a group's epoch grows: members came, went or changed, or the topics they are subscribed to did.

Source: Kafka's `GroupMetadataManager.updateSubscriptionMetadata`, 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from mainstem.core.group.cluster_view import ClusterView
from mainstem.core.group.consumer_member import ConsumerMember
from mainstem.core.group.consumer_records import ConsumerGroupStored, SubscriptionMetadataRemoved
from mainstem.core.group.consumer_state import ConsumerGroup
from mainstem.core.group.metadata_hash import group_hash
from mainstem.core.group.turn import Turn

REFRESH_INTERVAL_MS = 2**31 - 1
"""Changes of topics are announced; this is for whatever was missed (Kafka's `METADATA_REFRESH_INTERVAL_MS`)."""


def hash_of_topics(cluster: ClusterView, names: Iterable[str]) -> int:
    """Topics that do not exist do not count."""
    return group_hash({name: found for name in names if (found := cluster.topic_hash(name)) is not None})


def update_metadata(
    turn: Turn, group: ConsumerGroup, must_bump: bool, old: ConsumerMember | None, updated: ConsumerMember
) -> int:
    """Write a new epoch if there is a reason for one; returns the epoch the group is in then."""
    dropped: tuple[str, ...] = ()
    if old is not None and old.regex and old.regex != updated.regex and group.regex_members[old.regex] == 1:
        dropped = (old.regex,)
    names = group.subscribed_names_after(() if old is None else (old,), updated, dropped)
    metadata_hash = hash_of_topics(turn.cluster, names)
    epoch = group.epoch
    if must_bump or metadata_hash != group.metadata_hash:
        epoch += 1
        turn.write(ConsumerGroupStored(group_id=group.group_id, epoch=epoch, metadata_hash=metadata_hash))
        turn.note("group.epoch_bumped", group_id=group.group_id, epoch=epoch)
    group.metadata_is_fresh_until(turn.now_ms + REFRESH_INTERVAL_MS, epoch)
    if group.has_subscription_metadata:
        turn.write(SubscriptionMetadataRemoved(group_id=group.group_id))
    return epoch
