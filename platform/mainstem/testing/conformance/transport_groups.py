"""Members of one group share its partitions, and nobody else's commit counts."""

from __future__ import annotations

from mainstem.api.transport import Committed, Transport
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import consumer, numbers, until, values, write


async def check_groups(transport: Transport, prefix: str) -> None:
    await _check_sharing(transport, prefix)
    await _check_partners(transport, prefix)


async def _check_sharing(transport: Transport, prefix: str) -> None:
    topic = f"{prefix}-groups"
    await transport.create_topic(topic, 2, {})
    partitions = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    for partition in partitions:
        await write(transport, partition, numbers(0, 3))
    async with consumer(transport, prefix, "groups") as (first, hears_first):
        await values(first, 6)
        assert sorted(hears_first.assigned_now) == partitions, "a member alone gets everything"

        async def commit() -> None:
            await first.commit({partition: Committed(3) for partition in hears_first.assigned_now})

        hears_first.on_revoked = commit
        async with consumer(transport, prefix, "groups") as (second, hears_second):
            await until(lambda: len(hears_second.assigned_now) == len(hears_first.assigned_now) == 1, first, second)
            shared = sorted([*hears_first.assigned_now, *hears_second.assigned_now])
            assert shared == partitions, "two members share the partitions"
            await first.commit({partition: Committed(3) for partition in hears_first.assigned_now})
            for partition in partitions:
                await write(transport, partition, numbers(3, 4))
            got = await values(first, 1) + await values(second, 1)
            assert got == [b"3", b"3"], "commits of `revoked` count: each reads what is new, once"
            hears_first.on_revoked = None
            await second.commit({partition: Committed(4) for partition in hears_second.assigned_now})
        await until(lambda: len(hears_first.assigned_now) == 2, first)


async def _check_partners(transport: Transport, prefix: str) -> None:
    """Topics of equal partition counts are co-partitioned."""
    names = [f"{prefix}-partners-a", f"{prefix}-partners-b"]
    for name in names:
        await transport.create_topic(name, 4, {})
    async with (
        consumer(transport, prefix, "partners", topics=names) as (first, hears_first),
        consumer(transport, prefix, "partners", topics=names) as (second, hears_second),
    ):
        await until(lambda: len(hears_first.assigned_now) == len(hears_second.assigned_now) == 4, first, second)
        for hears in (hears_first, hears_second):
            numbers_of = {name: sorted(p.partition for p in hears.assigned_now if p.topic == name) for name in names}
            assert numbers_of[names[0]] == numbers_of[names[1]], "partition 3 of both comes to the same member"
