"""The transport `kafka`, over librdkafka and sockets, on our broker. Its contract: tests/integration/plugins."""

from __future__ import annotations

import socket

import pytest

from mainstem.api.batch import Batch
from mainstem.api.spec import configure
from mainstem.api.transport import TransportError
from mainstem.app.embedded import Broker
from mainstem.model.errors import ConfigError
from mainstem.model.ids import TopicPartition
from mainstem_plugins.transport_kafka import KafkaConfig, mainstem_register_transports

[SPEC] = mainstem_register_transports()


async def opened(context, address, **options):
    config = configure(KafkaConfig, options, owner="transport kafka")
    transport = SPEC.open(config, context, address, None)
    await transport.open()
    return transport


async def test_nobody_at_the_address_is_named(context, monkeypatch):
    from mainstem_plugins.transport_kafka import transport

    monkeypatch.setattr(transport, "REACH_TIMEOUT_S", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TransportError, match=f"no Kafka broker answers at {address}; check the address"):
            await opened(context, address)


async def test_an_address_is_needed(context):
    with pytest.raises(TransportError, match="kafka:// needs an address"):
        SPEC.open(KafkaConfig(), context, "", None)


async def test_a_record_that_is_too_large_is_named_by_its_partition(context):
    with Broker({"message.max.bytes": 1000}, storage="memory") as broker:
        transport = await opened(context, broker.bootstrap_servers)
        await transport.create_topic("in", 1, {})
        producer = transport.producer()
        await producer.produce(TopicPartition("in", 0), Batch(keys=[None], values=[b"x" * 2000], timestamps=[1]))
        with pytest.raises(TransportError, match=r"in-0 did not take a record: .*too large"):
            await producer.flush()
        await producer.close()
        await transport.close()


async def test_more_records_than_the_queue_holds_wait_and_keep_their_order(context):
    with Broker(storage="memory") as broker:
        transport = await opened(context, broker.bootstrap_servers, properties={"queue.buffering.max.messages": "50"})
        await transport.create_topic("in", 1, {})
        producer = transport.producer()
        values = [b"%d" % number for number in range(1000)]
        await producer.produce(TopicPartition("in", 0), Batch(keys=[None] * 1000, values=values, timestamps=[1] * 1000))
        await producer.flush()
        await producer.close()
        got: list[bytes | None] = []
        while len(got) < 1000:
            one = await transport.read(TopicPartition("in", 0), len(got), max_records=1000, max_wait_ms=1000)
            got += one.batch.values
        assert got == values
        await transport.close()


@pytest.mark.parametrize("name", ["enable.idempotence", "enable.auto.commit", "group.id", "acks", "bootstrap.servers"])
def test_properties_that_the_guarantees_stand_on_are_refused(context, name):
    config = configure(KafkaConfig, {"properties": {name: "x"}}, owner="transport kafka")
    with pytest.raises(ConfigError, match="pipelines set this themselves"):
        SPEC.open(config, context, "localhost:9092", None)


async def test_a_property_that_librdkafka_does_not_know_is_named(context):
    with pytest.raises(TransportError, match=r'No such configuration property: "no.such"'):
        await opened(context, "localhost:9092", properties={"no.such": "x"})


def test_passwords_are_not_shown():
    config = configure(KafkaConfig, {"sasl.password": "hunter2"}, owner="transport kafka")
    assert "hunter2" not in repr(config)
