"""What is the transport's own: where it connects, compaction, retention, times."""

from __future__ import annotations

import random
import socket

import pytest
from redis import asyncio as aio
from redis_process import redis_server

from mainstem.api.batch import Batch
from mainstem.api.spec import configure
from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import Assignments, numbers, read, write
from mainstem_plugins.transport_redis import RedisConfig, mainstem_register_transports
from mainstem_plugins.transport_redis.cleaning import COMPACT_FROM_RECORDS

pytestmark = pytest.mark.conformance

[SPEC] = mainstem_register_transports()
PARTITION = TopicPartition("in", 0)


def keyed(keys: list[bytes], value: bytes | None, *, timestamp: int = 1) -> Batch:
    return Batch(keys=keys, values=[value] * len(keys), timestamps=[timestamp] * len(keys))


async def everything(transport, partition=PARTITION) -> dict[int, tuple[bytes | None, bytes | None]]:
    """Key and value by offset."""
    _, end = (await transport.end_offsets(partition.topic))[partition]
    found, offset = {}, 0
    while offset < end:
        one = await transport.read(partition, offset, max_records=700, max_wait_ms=0)
        found.update(zip(one.offsets, zip(one.batch.keys, one.batch.values, strict=True), strict=True))
        assert one.next_offset > offset
        offset = one.next_offset
    assert offset == end
    return found


async def compacted(transport) -> None:
    await transport._cleaner.settle()


# Where it connects.


async def test_nobody_at_the_address_is_named(opened):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TransportError, match=f"no Redis answers at {address}; check the address"):
            await opened(address)


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("", "redis://host:port/database"),
        ("me:secret@host", "username and password are settings of their own"),
        ("host/x", "needs an address"),
    ],
)
def test_an_address_that_is_none_is_refused(context, address, named):
    with pytest.raises(TransportError, match=named) as caught:
        SPEC.open(RedisConfig(), context, address, None)
    assert "secret" not in str(caught.value)


def test_passwords_are_not_shown():
    assert "hunter2" not in repr(configure(RedisConfig, {"password": "hunter2"}, owner="transport redis"))


async def test_a_server_with_a_password(opened, tmp_path):
    with redis_server(tmp_path, "--requirepass", "hunter2") as server:
        transport = await opened(server.address, password="hunter2")
        assert await transport.partition_count("in") is None
        for options in ({}, {"password": "wrong"}):
            with pytest.raises(TransportError, match=r"Redis at 127.0.0.1:\d+ refuse") as caught:
                await opened(server.address, **options)
            assert "wrong" not in str(caught.value).replace("WRONGPASS", "")


async def test_a_server_that_may_evict_topics_is_refused(opened, tmp_path):
    flags = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    refused = pytest.raises(TransportError, match=r"may evict topics .* set maxmemory-policy noeviction")
    with redis_server(tmp_path, *flags) as server, refused:
        await opened(server.address)


async def test_a_server_that_is_full_says_so_and_takes_nothing_half(opened, tmp_path):
    with redis_server(tmp_path, "--maxmemory", "8mb", "--maxmemory-policy", "noeviction") as server:
        transport = await opened(server.address)
        await transport.create_topic("in", 1, {})
        producer = transport.producer()

        async def fill() -> None:
            for _ in range(20):
                await producer.append(PARTITION, keyed([b"k"] * 10, b"x" * 60_000))

        with pytest.raises(TransportError, match=r"in-0 did not take a record: .* is full \(maxmemory\)"):
            await fill()
        _, end = (await transport.end_offsets("in"))[PARTITION]
        assert len(await everything(transport)) == end > 0
        await producer.close()


async def test_prefixes_keep_topics_apart(server, opened):
    one = await opened(server.address)
    await one.create_topic("in", 3, {})
    other = await opened(server.address, prefix="another")
    assert await other.partition_count("in") is None


@pytest.mark.parametrize(
    ("partitions", "configs", "named"),
    [
        (0, {}, "partitions is 0"),
        (1, {"cleanup.policy": "shrink"}, "cleanup.policy 'shrink'"),
        (1, {"retention.ms": "a day"}, "retention.ms 'a day'"),
    ],
)
async def test_a_topic_that_cannot_be_made_says_why(server, opened, partitions, configs, named):
    transport = await opened(server.address)
    with pytest.raises(TransportError, match=named):
        await transport.create_topic("in", partitions, configs)


# Topics that come and go.


async def test_a_topic_that_is_made_again_is_read_and_written_from_its_beginning(server, opened):
    transport, other = await opened(server.address), await opened(server.address)
    await transport.create_topic("in", 1, {})
    producer = transport.producer()
    await producer.append(PARTITION, numbers(0, 5))
    member, hears = transport.consumer("g"), Assignments()
    await member.subscribe(["in"], hears)
    [one] = await member.fetch(max_records=10, max_wait_ms=0)
    assert len(one.batch) == 5
    await other.delete_topic("in")
    await other.create_topic("in", 1, {})
    assert await producer.append(PARTITION, numbers(5, 12)) == list(range(7))
    found = []
    while len(found) < 7:
        for one in await member.fetch(max_records=100, max_wait_ms=5_000):
            found += one.batch.values
    assert found == numbers(5, 12).values
    await other.delete_topic("in")
    with pytest.raises(TransportError, match="topic in does not exist"):
        await producer.append(PARTITION, numbers(0, 1))
    await member.close()


async def test_entries_that_are_not_ours_are_named(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    await write(transport, PARTITION, numbers(0, 3))
    stream = f"{transport._client.base}stream:in:0"
    async with aio.Redis(port=server.port) as redis:
        await redis.xadd(stream, {"hello": "world"}, id="4-0")
        await redis.hset(f"{transport._client.base}topic:in", "end:0", 4)
    with pytest.raises(TransportError, match="in-0: entry 4-0 of its stream is not mainstem's"):
        await transport.read(PARTITION, 0, max_records=10, max_wait_ms=0)


# Times.


async def test_times_are_found_among_many_entries_whatever_their_order(server, opened):
    transport, chance = await opened(server.address), random.Random(5)
    await transport.create_topic("in", 1, {})
    times = [chance.randrange(1_000) for _ in range(120)]
    producer = transport.producer()
    for first in range(0, 120, 4):
        part = times[first : first + 4]
        await producer.append(PARTITION, Batch(keys=[None] * 4, values=[b""] * 4, timestamps=part))
    await producer.close()
    for wanted in (0, 1, 500, 900, 990, max(times), max(times) + 1):
        expected = next((offset for offset, time in enumerate(times) if time >= wanted), 120)
        assert dict(await transport.offsets_for_time("in", wanted)) == {PARTITION: expected}


# Retention.


async def test_retention_bytes_drops_the_oldest_and_offsets_go_on(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"retention.bytes": "10000"})
    producer = transport.producer()
    for _ in range(50):
        await producer.append(PARTITION, keyed([b"k"], b"x" * 1_000))
    await producer.close()
    start, end = (await transport.end_offsets("in"))[PARTITION]
    assert (start, end) == (40, 50)
    assert list(await everything(transport)) == list(range(40, 50))
    member, hears = transport.consumer("g"), Assignments()
    await member.subscribe(["in"], hears)
    offsets: list[int] = []
    while len(offsets) < 10:
        offsets += [offset for one in await member.fetch(max_records=100, max_wait_ms=0) for offset in one.offsets]
    assert offsets == list(range(40, 50))
    await member.close()


async def test_retention_ms_drops_what_is_older(server, opened, context):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"retention.ms": "3600000"})
    now = context.clock.now_ms()
    producer = transport.producer()
    await producer.append(PARTITION, keyed([b"new"], b"v", timestamp=now))
    assert len(await everything(transport)) == 1
    await transport.delete_topic("in")
    await transport.create_topic("in", 1, {"retention.ms": "3600000"})
    await producer.append(PARTITION, keyed([b"old"], b"v", timestamp=now - 3_700_000))
    assert await transport.end_offsets("in") == {PARTITION: (1, 1)}
    await producer.close()


# Compaction.


async def test_a_compacted_topic_keeps_the_last_record_of_each_key_and_its_offsets(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"cleanup.policy": "compact"})
    producer = transport.producer()
    await producer.append(PARTITION, keyed([b"a", b"b"] * (COMPACT_FROM_RECORDS // 2 - 1), b"old"))
    assert len(await everything(transport)) == COMPACT_FROM_RECORDS - 2
    await producer.append(PARTITION, keyed([b"c", b"a"], b"new"))
    await compacted(transport)
    end = COMPACT_FROM_RECORDS
    assert await everything(transport) == {
        end - 3: (b"b", b"old"),
        end - 2: (b"c", b"new"),
        end - 1: (b"a", b"new"),
    }
    assert await producer.append(PARTITION, keyed([b"b"], b"later")) == [end]
    assert (await everything(transport))[end] == (b"b", b"later")
    assert await transport.end_offsets("in") == {PARTITION: (0, end + 1)}
    await producer.close()


async def test_readers_and_writers_go_on_while_a_topic_is_compacted(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"cleanup.policy": "compact"})
    member, hears = transport.consumer("g"), Assignments()
    await member.subscribe(["in"], hears)
    producer, chance = transport.producer(), random.Random(3)
    state: dict[bytes, bytes] = {}
    read_state: dict[bytes, bytes] = {}
    expected, position = 0, 0
    for number in range(80):
        keys = [b"%d" % chance.randrange(500) for _ in range(700)]
        values = [b"%d-%d" % (number, place) for place in range(700)]
        state.update(zip(keys, values, strict=True))
        await producer.produce(PARTITION, Batch(keys=keys, values=values, timestamps=[number] * 700))
        expected += 700
        for one in await member.fetch(max_records=300, max_wait_ms=0):
            assert all(offset >= position for offset in one.offsets)
            position = one.next_offset
            read_state.update(zip(one.batch.keys, one.batch.values, strict=True))
    await producer.flush()
    await compacted(transport)
    while position < expected:
        for one in await member.fetch(max_records=1_000, max_wait_ms=100):
            position = one.next_offset
            read_state.update(zip(one.batch.keys, one.batch.values, strict=True))
    assert read_state == state
    found = await everything(transport)
    assert len(found) < 3 * COMPACT_FROM_RECORDS
    assert dict(found.values()) == state
    await producer.close()
    await member.close()


async def test_a_tombstone_goes_after_its_retention(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"cleanup.policy": "compact", "delete.retention.ms": "0"})
    producer = transport.producer()
    await producer.append(PARTITION, keyed([b"gone"], b"v"))
    await producer.append(PARTITION, keyed([b"gone"], None))
    for is_there in (True, False):
        await producer.append(PARTITION, keyed([b"x"] * COMPACT_FROM_RECORDS, b"v"))
        await compacted(transport)
        assert ((b"gone", None) in (await everything(transport)).values()) == is_there
    await producer.close()


async def test_a_tombstone_at_the_very_end_leaves_an_end_that_is_reached(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"cleanup.policy": "compact", "delete.retention.ms": "0"})
    producer = transport.producer()
    await producer.append(PARTITION, keyed([b"gone"] * COMPACT_FROM_RECORDS, None))
    await compacted(transport)
    assert list(await everything(transport)) == [COMPACT_FROM_RECORDS - 1]
    await producer.append(PARTITION, keyed([b"more"] * COMPACT_FROM_RECORDS, None))
    await compacted(transport)
    assert list(await everything(transport)) == [2 * COMPACT_FROM_RECORDS - 1]
    await producer.close()


async def test_what_is_younger_than_the_compaction_lag_stays(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"})
    producer = transport.producer()
    await producer.append(PARTITION, keyed([b"a"] * (COMPACT_FROM_RECORDS + 5), b"v"))
    await compacted(transport)
    assert len(await everything(transport)) == COMPACT_FROM_RECORDS + 5
    await producer.close()


async def test_records_of_a_compacted_topic_need_a_key(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"cleanup.policy": "compact"})
    producer, transactions = transport.producer(), transport.transactional_producer("t")
    await transactions.open()
    await transactions.begin()
    for one in (producer, transactions):
        with pytest.raises(TransportError, match="in-0: records of a compacted topic need a key"):
            await one.produce(PARTITION, numbers(0, 1))
    await read(transport, PARTITION, 0, count=0)
