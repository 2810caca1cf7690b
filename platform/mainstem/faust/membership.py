"""The app as a member of its consumer group: what a rebalance means to Faust, in the order in which Faust wants to hear it.

`on_rebalance_start` at once, then everything that is revoked, then the generation, then the assignor, then what is assigned. The
transport's group gives partition n of all topics with equal partition counts to the same member, as Faust's own assignor does.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import ClientAssignment, ClientMetadata
from faust.types import TP

from mainstem.model.ids import TopicPartition


class Membership:
    """Listens to the transport's consumer. `owned`: what the group gave; `followed`: changelogs of global tables, and what an
    app that is only a client reads, without a group."""

    def __init__(self, consumer: Any) -> None:
        self.owned: set[TP] = set()
        self.followed: set[TP] = set()
        self._is_unsettled = False
        self._consumer = consumer
        self._app = consumer.app

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        going = {TP(*one) for one in partitions}
        self._is_unsettled = True
        self._app.on_rebalance_start()
        await self._consumer.on_partitions_revoked(going)
        self._forget(going)

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        going = {TP(*one) for one in partitions}
        self._is_unsettled = True
        self._app.on_rebalance_start()
        self._forget(going)  # first, so that nobody tries to commit them
        await self._consumer.on_partitions_revoked(going)

    def _forget(self, going: Iterable[TP]) -> None:
        self.owned.difference_update(going)
        self._consumer.forget(going)

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        consumer, app = self._consumer, self._app
        self._is_unsettled = False
        if not app.rebalancing:  # something came and nothing went: work under way ends first all the same
            app.on_rebalance_start()
            await consumer.on_partitions_revoked(set())
        self.owned.update(TP(*one) for one in partitions)
        committed = await consumer.source.committed(list(partitions))
        consumer.remember_committed({TP(*one): found.offset for one, found in committed.items()})
        actives, standbys = self._assignment()
        self.followed = (actives | standbys) - self.owned
        generation = app.consumer_generation_id + 1
        consumer.new_generation(generation, self.owned | self.followed)
        consumer.followers.follow(self.followed)
        app.consumer_generation_id = generation
        self._tell_assignor(actives, standbys)
        await consumer.on_partitions_assigned(set(consumer.deliveries), generation)

    async def settle(self) -> None:
        """Partitions went and none came: to Faust that is an assignment all the same, and it waits for one."""
        if self._is_unsettled:
            await self.assigned([])

    def _assignment(self) -> tuple[set[TP], set[TP]]:
        """Global tables are recovered whole by every member, and then followed where another one writes them."""
        actives, standbys = set(self.owned), set()
        for table in self._app.tables.data.values():
            if not table.is_global:
                continue
            topic = table.changelog_topic_name
            every = {TP(topic, number) for number in range(self._consumer.counts.known(topic) or 0)}
            follows_all = table.synchronize_all_active_partitions or table.use_partitioner
            standbys |= every if follows_all else every - self.owned
            actives |= every
        return actives, standbys

    def _tell_assignor(self, actives: set[TP], standbys: set[TP]) -> None:
        app = self._app
        url = str(app.conf.canonical_url)
        changelogs = app.tables.changelog_topics
        assignment = ClientAssignment(actives=by_topic(actives), standbys=by_topic(standbys))
        metadata = ClientMetadata(
            assignment=assignment,
            url=url,
            changelog_distribution={url: by_topic(tp for tp in actives if tp.topic in changelogs)},
            external_topic_distribution={url: by_topic(tp for tp in actives if tp.topic not in changelogs)},
            topic_groups={topic: self._consumer.counts.known(topic) or 0 for topic in {tp.topic for tp in actives}},
        )
        # As a leader of the group would have sent it to this member: the group protocol is the transport's here.
        told = sorted(assignment.kafka_protocol_assignment(app.tables)), zlib.compress(metadata.dumps())
        app.assignor.on_assignment(ConsumerProtocolMemberAssignment(app.assignor.version, *told))

    async def follow_only(self, topics: Iterable[str]) -> None:
        """A client reads replies as a member of no group, and the first may be there before it has begun to read."""
        consumer = self._consumer
        self.followed = {TP(topic, number) for topic in topics for number in range(consumer.counts.known(topic) or 0)}
        coming = self.followed - set(consumer.deliveries)
        from_latest = self._app.conf.consumer_auto_offset_reset == "latest"
        starts = await (consumer.highwaters if from_latest else consumer.earliest_offsets)(*coming)
        consumer.add_deliveries(self._app.consumer_generation_id, coming)
        consumer._set_active_tps(self.followed)
        consumer.followers.follow(self.followed, starts)


def by_topic(partitions: Iterable[TP]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        found.setdefault(topic, []).append(number)
    return found
