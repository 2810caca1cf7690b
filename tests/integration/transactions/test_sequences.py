"""Idempotent batches that come twice, too early or not at all: nothing is doubled, nothing is lost."""

from __future__ import annotations

import random

import pytest
from transaction_client import Client, E, batch


class TestSequences:
    @pytest.mark.parametrize("seed", range(20))
    def test_batches_in_any_order_end_up_once_and_in_order(self, client: Client, topic: str, seed: int) -> None:
        chance = random.Random(seed)
        response = client.init(None)
        producer = (response.producer_id, response.producer_epoch)
        values, acknowledged = [b"%d" % n for n in range(30)], 1
        # The first batch comes first: a log that knows nothing of a producer takes any, as in Kafka.
        assert client.write(topic, {0: batch(producer, 0, values[0], transactional=False)}, None) == {0: (E.NONE, 0)}
        while acknowledged < len(values):
            # What is not acknowledged yet, out of order, some of it twice, some of it missing; and old ones again.
            window = list(range(max(0, acknowledged - 3), min(acknowledged + 5, len(values))))
            for sequence in chance.choices(window, k=chance.randint(1, 8)):
                one = batch(producer, sequence, values[sequence], transactional=False)
                error, offset = client.write(topic, {0: one}, None)[0]
                if acknowledged - 5 <= sequence <= acknowledged:
                    assert (error, offset) == (E.NONE, sequence)
                    acknowledged = max(acknowledged, sequence + 1)
                else:
                    # Too early, or older than the five batches that a log remembers.
                    assert error is E.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert client.read(topic) == values

    def test_a_batch_that_only_looks_like_a_retry_is_refused(self, client: Client, topic: str) -> None:
        response = client.init(None)
        producer = (response.producer_id, response.producer_epoch)
        client.write(topic, {0: batch(producer, 0, b"a", b"b", transactional=False)}, None)
        other = client.write(topic, {0: batch(producer, 0, b"a", transactional=False)}, None)
        assert other[0][0] is E.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert client.read(topic) == [b"a", b"b"]
