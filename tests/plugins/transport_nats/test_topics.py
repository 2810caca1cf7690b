"""What is the transport's own: where it connects, topics made again, retention, writers beside each other."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any

import pytest
from nats.errors import TimeoutError as NatsTimeoutError

from mainstem import Pipeline, run
from mainstem.api.batch import Batch
from mainstem.api.transport import Committed, TransportError
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transport_steps import Assignments, numbers, read, values, write

pytestmark = pytest.mark.conformance

PARTITION = TopicPartition("in", 0)
REFUSED = "Authorization Violation|reset by peer"
"""The server says why and hangs up at once; what it said may be lost with the connection."""


# Where it connects.


async def test_nobody_at_the_address_is_named(opened):
    with pytest.raises(TransportError, match=r"no NATS server answers at 127\.0\.0\.1:1; check the address"):
        await opened("127.0.0.1:1", request_timeout_ms=300)


@pytest.mark.parametrize(
    ("flags", "right"),
    [
        (("--user", "me", "--pass", "hunter2"), {"user": "me", "password": "hunter2"}),
        (("--auth", "hunter2"), {"token": "hunter2"}),
    ],
    ids=["password", "token"],
)
async def test_a_server_with_a_secret(opened, nats, tmp_path, flags, right):
    server = nats(tmp_path, *flags)
    transport = await opened(server.address, **right)
    assert await transport.partition_count("in") is None
    for options in ({}, {**right, list(right)[-1]: "wrong"}):
        with pytest.raises(TransportError, match=REFUSED) as caught:
            await opened(server.address, request_timeout_ms=300, **options)
        assert "wrong" not in str(caught.value)


async def test_a_server_without_jetstream_is_named(opened, nats, tmp_path):
    config = tmp_path / "server.conf"
    config.write_text("accounts { A { users = [{user: a, password: a}] } }\nno_auth_user: a\n")
    server = nats(tmp_path, "-c", str(config))
    with pytest.raises(
        TransportError, match=r"JetStream of the NATS server at .* cannot be used: JetStream not enabled"
    ):
        await opened(server.address)


async def test_prefixes_keep_topics_apart(server, opened):
    one = await opened(server.address)
    await one.create_topic("in", 3, {})
    other = await opened(server.address, prefix="another")
    assert await other.partition_count("in") is None


async def test_exactly_once_is_refused(server, opened):
    transport = await opened(server.address)
    with pytest.raises(TransportError, match="has no transactions"):
        transport.transactional_producer("t")


def test_a_pipeline_with_exactly_once_is_refused(server, capsys):
    pipeline = Pipeline("p").source("in").sink("out")
    with pytest.raises(SystemExit):
        run(pipeline, broker=f"nats://{server.address}", exactly_once=True)
    assert "nats:// has no transactions: leave it out, or use" in capsys.readouterr().err


# Topics.


@pytest.mark.parametrize(
    ("partitions", "configs", "named"),
    [
        (0, {}, "partitions is 0"),
        (1, {"cleanup.policy": "keep"}, "cleanup.policy 'keep' is delete or compact"),
        (1, {"retention.ms": "a week"}, "retention.ms 'a week' is no number"),
    ],
)
async def test_a_topic_that_cannot_be_made_says_why(server, opened, partitions, configs, named):
    transport = await opened(server.address)
    with pytest.raises(TransportError, match=f"topic in cannot be created: {named}"):
        await transport.create_topic("in", partitions, configs)


async def test_names_that_differ_in_a_dot_are_different_topics(server, opened):
    transport = await opened(server.address)
    for count, name in enumerate(("a.b", "a_b", "a-b", "a"), 1):
        await transport.create_topic(name, count, {})
    assert [await transport.partition_count(name) for name in ("a.b", "a_b", "a-b", "a")] == [1, 2, 3, 4]


async def test_a_topic_that_is_made_by_many_at_once_is_one(server, opened):
    transports = [await opened(server.address) for _ in range(4)]
    await asyncio.gather(*(one.create_topic("in", count, {}) for count, one in enumerate(transports, 1)))
    counts = {await one.partition_count("in") for one in transports}
    assert len(counts) == 1
    names = [info.config.name for info in await transports[0]._connection.js.streams_info()]
    prefix = transports[0]._connection.config.prefix
    assert len([name for name in names if name.startswith(f"{prefix}=in=")]) == counts.pop(), "others left no streams"


async def test_a_topic_that_is_made_again_begins_anew(server, opened):
    """Whoever still knows the old one reads and writes nothing of the new one, and its committed offsets do not count."""
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    old = transport.producer()
    await old.append(PARTITION, numbers(0, 5))
    member = transport.consumer("g")
    await member.subscribe(["in"], Assignments())
    await values(member, 5)
    await member.commit({PARTITION: Committed(5)})
    await transport.delete_topic("in")
    await transport.create_topic("in", 1, {})
    with pytest.raises(TransportError, match="in-0 did not take a record: its stream does not exist"):
        await old.append(PARTITION, numbers(5, 6))
    assert await transport.end_offsets("in") == {PARTITION: (0, 0)}
    assert await transport.group_offsets("g") == {}
    await member.close()
    await write(transport, PARTITION, numbers(7, 9))
    member = transport.consumer("g")
    await member.subscribe(["in"], Assignments())
    assert await values(member, 2) == [b"7", b"8"]
    assert (await member.group.read()).committed == {}, "what nobody can use is forgotten"
    await member.close()


async def test_messages_that_are_not_ours_are_named(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    [log] = await transport._topics.logs("in")
    await transport._connection.js.publish(log.subject, b"from somebody else")
    member = transport.consumer("g")
    with pytest.raises(TransportError, match="in-0 cannot be read: a message there was not written by this transport"):
        await transport.read(PARTITION, 0, max_records=1, max_wait_ms=0)
    await member.close()


async def test_a_stream_that_somebody_emptied_is_named(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    await write(transport, PARTITION, numbers(0, 5))
    [log] = await transport._topics.logs("in")
    await transport._connection.js.purge_stream(log.stream)
    with pytest.raises(TransportError, match="in-0 had records that were purged with something else than mainstem"):
        await transport.end_offsets("in")


async def test_retention_bytes_drops_the_oldest_and_offsets_go_on(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"retention.bytes": "0"})
    producer = transport.producer()
    batch = Batch(keys=[None] * 100, values=[b"x" * 1_000] * 100, timestamps=[1] * 100)
    for _ in range(50):
        await producer.append(PARTITION, batch)
    start, end = (await transport.end_offsets("in"))[PARTITION]
    assert 0 < start < end == 5_000
    one = await transport.read(PARTITION, 0, max_records=10, max_wait_ms=0)
    assert one.offsets[0] == start, "what is gone is passed over"
    await producer.close()


async def test_retention_ms_drops_what_is_older(server, opened, context, monkeypatch):
    monkeypatch.setattr("mainstem_plugins.transport_nats.producer.FORGET_EVERY_MS", -1)
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {"retention.ms": "60000"})
    now_ms = context.clock.now_ms()
    producer = transport.producer()
    for age_ms in (200_000, 100_000, 30_000):
        await producer.append(PARTITION, Batch(keys=[None], values=[b"x"], timestamps=[now_ms - age_ms]))
    assert await transport.end_offsets("in") == {PARTITION: (2, 3)}
    await producer.close()


async def test_times_are_found_among_many_messages_whatever_their_order(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    times = [100, 300, 200, 500, 400, 600, 50, 700]
    producer = transport.producer()
    for first in range(0, 8, 2):
        batch = Batch(keys=[None] * 2, values=[b"x"] * 2, timestamps=times[first : first + 2])
        await producer.append(PARTITION, batch)
    for timestamp in range(0, 800, 50):
        expected = next((offset for offset, time in enumerate(times) if time >= timestamp), 8)
        assert await transport.offsets_for_time("in", timestamp) == {PARTITION: expected}
    await producer.close()


# Writing.


async def test_a_record_that_is_too_large_is_refused_and_nothing_behind_it_is_written(server, opened):
    transport = await opened(server.address)
    await transport.create_topic("in", 1, {})
    producer = transport.producer()
    await producer.produce(PARTITION, numbers(0, 1))
    await producer.flush()
    await producer.produce(PARTITION, Batch(keys=[None], values=[b"x" * 1_100_000], timestamps=[1]))
    with pytest.raises(TransportError, match=r"in-0 did not take a record: it has 1,100,\d+ bytes.*max_payload"):
        await producer.flush()
    with pytest.raises(TransportError, match="in-0 did not take a record"):
        await producer.produce(PARTITION, numbers(1, 2))
    await producer.close()
    assert await transport.end_offsets("in") == {PARTITION: (0, 1)}


async def test_many_records_with_large_headers_are_split(server, opened):
    transport = await opened(server.address, message_bytes=4_000_000)
    await transport.create_topic("in", 1, {})
    headers = [[("name", b"x" * 50_000)]] * 40
    await write(transport, PARTITION, Batch(keys=[None] * 40, values=[b""] * 40, timestamps=[1] * 40, headers=headers))
    assert len((await read(transport, PARTITION, 0, count=40)).headers or ()) == 40


class LosingAcknowledgements:
    """Publishes as `js` does and then says that no answer came; `meanwhile` happens in between."""

    def __init__(self, js: Any, losses: int, meanwhile: Any = None) -> None:
        self._publish = js.publish
        self.losses = losses
        self.meanwhile = meanwhile

    async def publish(self, *arguments: Any, **options: Any) -> Any:
        acknowledged = await self._publish(*arguments, **options)
        if not self.losses:
            return acknowledged
        self.losses -= 1
        if self.meanwhile is not None:
            await self.meanwhile()
        raise NatsTimeoutError


@pytest.mark.parametrize("others", [0, 3])
async def test_a_record_whose_acknowledgement_was_lost_is_written_once(server, opened, monkeypatch, others):
    transport, another = await opened(server.address), await opened(server.address)
    await transport.create_topic("in", 1, {})
    beside = another.producer()

    async def write_beside() -> None:
        for _ in range(others):
            await beside.append(PARTITION, numbers(9, 10))

    losing = LosingAcknowledgements(transport._connection.js, 1, write_beside)
    monkeypatch.setattr(transport._connection.js, "publish", losing.publish)
    producer = transport.producer()
    assert await producer.append(PARTITION, numbers(0, 2)) == [0, 1]
    assert losing.losses == 0
    assert await producer.append(PARTITION, numbers(2, 3)) == [2 + others]
    expected = [b"0", b"1", *[b"9"] * others, b"2"]
    assert (await read(transport, PARTITION, 0, count=3 + others)).values == expected
    assert await transport.end_offsets("in") == {PARTITION: (0, 3 + others)}
    await producer.close()
    await beside.close()


async def test_writers_beside_each_other_lose_and_double_nothing(server, opened):
    transports = [await opened(server.address) for _ in range(3)]
    await transports[0].create_topic("in", 1, {})

    async def write_all(name: int) -> list[int]:
        producer, offsets = transports[name].producer(), []
        for number in range(60):
            batch = Batch(keys=[b"%d" % name], values=[b"%d" % number], timestamps=[1])
            offsets += list(await producer.append(PARTITION, batch) or ())
        await producer.close()
        return offsets

    offsets = await asyncio.gather(*(write_all(name) for name in range(3)))
    assert sorted(chain.from_iterable(offsets)) == list(range(180))
    got = await read(transports[0], PARTITION, 0, count=180)
    for name in range(3):
        mine = [value for key, value in zip(got.keys, got.values, strict=True) if key == b"%d" % name]
        assert mine == numbers(0, 60).values
        assert [got.values[offset] for offset in offsets[name]] == mine
