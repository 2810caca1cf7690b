"""The transport `memory`: its contract, and what is its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from served_transports import check_waiting

from mainstem.api.batch import Batch
from mainstem.api.transport import Committed, NotMember, TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import Assignments, numbers, write
from mainstem.testing.conformance.transports import check_transport
from mainstem_plugins.transport_memory import MemoryConfig, mainstem_register_transports
from mainstem_plugins.transport_memory.log import COMPACT_FROM_RECORDS, MemoryLog

[SPEC] = mainstem_register_transports()
PARTITION = TopicPartition("in", 0)


class SetClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms


def opened(context, name, **config):
    return SPEC.open(MemoryConfig(**config), context, name, None)


async def test_contract(context):
    async def open_transport():
        return opened(context, "contract")

    await check_transport(open_transport, "t")


async def test_the_same_name_is_the_same_topics_and_another_name_is_not(context):
    await opened(context, "same").create_topic("in", 3, {})
    assert await opened(context, "same").partition_count("in") == 3
    assert await opened(context, "another").partition_count("in") is None


async def test_a_member_that_sleeps_too_long_is_put_out_and_cannot_commit(context):
    clock = SetClock()
    transport = opened(replace(context, clock=clock), "sleeper", max_poll_interval_ms=1_000)
    await transport.create_topic("in", 1, {})
    await write(transport, PARTITION, numbers(0, 3))
    sleeper, hears_sleeper = transport.consumer("g"), Assignments()
    await sleeper.subscribe(["in"], hears_sleeper)
    await sleeper.fetch(max_records=10, max_wait_ms=0)
    clock.ms = 1_001
    other, hears_other = transport.consumer("g"), Assignments()
    await other.subscribe(["in"], hears_other)
    [one] = await other.fetch(max_records=10, max_wait_ms=0)
    assert (hears_other.assigned_now, len(one.batch)) == ([PARTITION], 3)
    with pytest.raises(NotMember, match="in-0 belong to another member"):
        await sleeper.commit({PARTITION: Committed(3)})
    await sleeper.fetch(max_records=10, max_wait_ms=0)
    assert "lost" in hears_sleeper.heard


async def test_a_fetch_that_waits_gets_what_is_written_meanwhile(context):
    await check_waiting(opened(context, "waits"))


async def test_a_topic_that_is_made_again_is_read_from_its_beginning(context):
    transport = opened(context, "again")
    await transport.create_topic("in", 1, {})
    await write(transport, PARTITION, numbers(0, 5))
    member = transport.consumer("g")
    await member.subscribe(["in"], Assignments())
    await member.fetch(max_records=10, max_wait_ms=0)
    await transport.delete_topic("in")
    await transport.create_topic("in", 1, {})
    await write(transport, PARTITION, numbers(5, 7))
    [one] = await member.fetch(max_records=10, max_wait_ms=0)
    assert one.batch.values == [b"5", b"6"]


async def test_transactions_are_refused_a_record_without_a_key_for_a_compacted_topic(context):
    transport = opened(context, "keys")
    await transport.create_topic("in", 1, {"cleanup.policy": "compact"})
    producer = transport.transactional_producer("t")
    await producer.open()
    await producer.begin()
    with pytest.raises(TransportError, match="in-0: records of a compacted topic need a key"):
        await producer.produce(PARTITION, numbers(0, 1))
    await producer.abort()


@pytest.mark.parametrize(
    ("partitions", "configs", "named"),
    [
        (0, {}, "partitions is 0"),
        (1, {"cleanup.policy": "shrink"}, "cleanup.policy 'shrink'"),
        (1, {"delete.retention.ms": "a day"}, "delete.retention.ms 'a day'"),
    ],
)
async def test_a_topic_that_cannot_be_made_says_why(context, partitions, configs, named):
    with pytest.raises(TransportError, match=named):
        await opened(context, "bad").create_topic("in", partitions, configs)


def keyed(keys: list[bytes], value: bytes | None) -> Batch:
    return Batch(keys=keys, values=[value] * len(keys), timestamps=[0] * len(keys))


def test_a_compacted_log_keeps_the_last_record_of_each_key_and_its_offsets():
    log = MemoryLog(is_compacted=True, delete_retention_ms=100)
    log.append(PARTITION, keyed([b"a", b"b"] * (COMPACT_FROM_RECORDS // 2), b"old"), 0)
    log.append(PARTITION, keyed([b"a"], b"new"), 0)
    got = log.fetched(PARTITION, 0, 10)
    assert (got.batch.keys, got.batch.values) == ([b"a", b"b", b"a"], [b"old", b"old", b"new"])
    assert got.offsets == [COMPACT_FROM_RECORDS - 2, COMPACT_FROM_RECORDS - 1, COMPACT_FROM_RECORDS]
    assert (got.next_offset, log.end) == (COMPACT_FROM_RECORDS + 1, COMPACT_FROM_RECORDS + 1)


@pytest.mark.parametrize(("later_ms", "is_there"), [(99, True), (100, False)])
def test_a_tombstone_goes_after_its_retention(later_ms, is_there):
    log = MemoryLog(is_compacted=True, delete_retention_ms=100)
    log.append(PARTITION, keyed([b"gone"], None), 0)
    filler = keyed([b"x"] * COMPACT_FROM_RECORDS, b"v")
    log.append(PARTITION, filler, 0)
    log.append(PARTITION, filler, later_ms)
    assert (b"gone" in log.fetched(PARTITION, 0, 10).batch.keys) == is_there
