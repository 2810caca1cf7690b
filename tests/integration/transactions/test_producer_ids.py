"""InitProducerId, and what every API says to a producer that was fenced."""

from __future__ import annotations

import pytest
from transaction_client import Client, E, begun

from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import (
    add_offsets_to_txn,
    add_partitions_to_txn,
)


class TestInitProducerId:
    @pytest.mark.parametrize(
        ("transactional_id", "fields", "error"),
        [
            ("", {}, E.INVALID_REQUEST),
            ("tx", {"producer_id": 5}, E.INVALID_REQUEST),
            ("tx", {"producer_epoch": 5}, E.INVALID_REQUEST),
            ("tx", {"transaction_timeout_ms": 0}, E.INVALID_TRANSACTION_TIMEOUT),
            ("tx", {"transaction_timeout_ms": 900_001}, E.INVALID_TRANSACTION_TIMEOUT),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, client: Client, transactional_id: str, fields: dict[str, int], error: ErrorCode
    ) -> None:
        client.coordinator("tx", 1)
        response = client.init(transactional_id, **fields)
        assert (response.error_code, response.producer_id, response.producer_epoch) == (error, -1, -1)

    @pytest.mark.parametrize("version", range(6))
    def test_every_version_gives_an_id(self, client: Client, transactional_id: str, version: int) -> None:
        response = client.init(transactional_id, version)
        assert (response.error_code, response.producer_epoch) == (E.NONE, 0)
        assert client.init(None, version).producer_id > response.producer_id


class TestFencing:
    @pytest.fixture
    def fenced(self, client: Client, transactional_id: str) -> tuple[int, int]:
        producer = begun(client, transactional_id)
        begun(client, transactional_id)
        return producer

    @pytest.mark.parametrize(("version", "error"), [(0, E.INVALID_PRODUCER_EPOCH), (1, E.INVALID_PRODUCER_EPOCH)])
    @pytest.mark.parametrize("newer", [0, 1])
    def test_every_api_has_its_word_for_it(
        self,
        client: Client,
        topic: str,
        transactional_id: str,
        fenced: tuple[int, int],
        version: int,
        error: E,
        newer: int,
    ) -> None:
        error = E.PRODUCER_FENCED if newer else error
        version += 2 * newer
        assert client.end(transactional_id, fenced, version=version).error_code == error
        offsets = add_offsets_to_txn.AddOffsetsToTxnRequest(
            transactional_id=transactional_id, producer_id=fenced[0], producer_epoch=fenced[1], group_id="g"
        )
        assert client.ask(ApiKey.ADD_OFFSETS_TO_TXN, version, offsets).error_code == error
        partitions = add_partitions_to_txn.AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=transactional_id,
            v3_and_below_producer_id=fenced[0],
            v3_and_below_producer_epoch=fenced[1],
            v3_and_below_topics=[add_partitions_to_txn.AddPartitionsToTxnTopic(name=topic, partitions=[0])],
        )
        (told,) = client.ask(ApiKey.ADD_PARTITIONS_TO_TXN, version, partitions).results_by_topic_v3_and_below
        assert [p.partition_error_code for p in told.results_by_partition] == [error]

    @pytest.mark.parametrize(("version", "error"), [(3, E.INVALID_PRODUCER_EPOCH), (4, E.PRODUCER_FENCED)])
    def test_so_does_init_producer_id(
        self, client: Client, transactional_id: str, fenced: tuple[int, int], version: int, error: ErrorCode
    ) -> None:
        response = client.init(transactional_id, version, producer_id=fenced[0], producer_epoch=fenced[1])
        assert (response.error_code, response.producer_id, response.producer_epoch) == (error, -1, -1)
