"""The transport `embedded` on a real broker in this process."""

from __future__ import annotations

import pytest

from mainstem.api.batch import Batch, slices
from mainstem.api.spec import configure
from mainstem.api.transport import Committed, TransportError
from mainstem.app.embedded import AsyncBroker
from mainstem.model.ids import TopicPartition
from mainstem.testing.conformance.transports import check_transport
from mainstem_plugins.transport_embedded import EmbeddedConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()


def opened(context, broker, **options):
    config = configure(EmbeddedConfig, options, owner="transport embedded")
    return SPEC.open(config, context, "", broker.local_node)


@pytest.mark.parametrize("options", [{}, {"compression": "zstd", "batch_bytes": 2_000, "fetch_bytes": 5_000}])
async def test_contract(context, options):
    async with AsyncBroker(storage="memory") as broker:

        async def open_transport():
            return opened(context, broker, **options)

        await check_transport(open_transport, "t")


async def test_without_a_broker_in_the_process_it_says_what_to_use(context):
    with pytest.raises(TransportError, match="give kafka://host:port to use another one"):
        SPEC.open(EmbeddedConfig(), context, "", None)


async def test_offsets_that_are_gone_continue_at_the_beginning(context):
    partition = TopicPartition("in", 0)
    async with AsyncBroker(storage="memory") as broker:
        transport = opened(context, broker)
        await transport.create_topic("in", 1, {})
        producer = transport.producer()
        await producer.produce(partition, Batch(keys=[None], values=[b"1"], timestamps=[1]))
        await producer.flush()
        consumer = transport.consumer("g")
        await consumer.commit({partition: Committed(7)})

        class Listener:
            async def assigned(self, partitions):
                assert list(partitions) == [partition]

        await consumer.subscribe(["in"], Listener())
        got = [one for _ in range(3) for one in await consumer.fetch(max_records=5, max_wait_ms=10)]
        assert got[0].batch.values == [b"1"]


async def test_a_record_that_is_too_large_is_named_by_its_partition(context):
    async with AsyncBroker({"message.max.bytes": 1000}, storage="memory") as broker:
        transport = opened(context, broker)
        await transport.create_topic("in", 1, {})
        producer = transport.producer()
        await producer.produce(TopicPartition("in", 0), Batch(keys=[None], values=[b"x" * 2000], timestamps=[1]))
        with pytest.raises(TransportError, match=r"in-0 cannot be written: .*MESSAGE_TOO_LARGE"):
            await producer.flush()
        await producer.close()


async def test_writing_to_a_topic_that_does_not_exist_is_named(context):
    async with AsyncBroker(storage="memory") as broker:
        producer = opened(context, broker).producer()
        await producer.produce(TopicPartition("nowhere", 0), Batch(keys=[None], values=[b"x"], timestamps=[1]))
        with pytest.raises(TransportError, match=r"nowhere-0 cannot be written: .*UNKNOWN_TOPIC_OR_PARTITION"):
            await producer.flush()


def test_batches_are_cut_by_their_size_and_hold_at_least_one_record():
    batch = Batch(keys=[None] * 4, values=[b"x" * 10, b"x" * 500, b"x" * 10, b"x" * 10], timestamps=[0] * 4)
    assert list(slices(batch, 100)) == [(0, 1), (1, 2), (2, 4)]
    assert list(slices(Batch(keys=[], values=[], timestamps=[]), 100)) == []
