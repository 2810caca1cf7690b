"""Produce, v0–13. v0–2 are refused per partition (advertised for old librdkafka, KAFKA-18659). v12: partitions join their
transaction by being written to (KIP-890). v13: topic ids (KIP-516).
"""

from __future__ import annotations

import asyncio
from functools import partial

from mainstem.broker.context import RequestContext
from mainstem.broker.produce_lane import ACKS_ALL, ProduceLane
from mainstem.broker.produce_request import ZSTD_FROM, DelayedProduce, Waits, append_batch, refuse_all
from mainstem.broker.reply import ReplyLine
from mainstem.broker.services import Services
from mainstem.broker.transactional_produce import handle_transactional
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.hot_produce import PartitionResult, TopicResult, decode_request, encode_response
from mainstem.wire.hot_produce_shape import learn

_now = asyncio.get_running_loop


def handle_frame(
    line: ReplyLine, context: RequestContext, services: Services, frame: memoryview, body: int, correlation_id: int
) -> None:
    """The frame is valid until this returns; the records are appended by then. Raises: MalformedMessage."""
    version = context.api_version
    request = decode_request(frame, body, version)
    started = _now().time()
    if request.transactional_id is not None:
        handle_transactional(line, services, version, request, correlation_id)
        return
    refusal = refuse_all(version, request.acks)
    results: list[TopicResult] = []
    waits: Waits = []
    for topic, partitions in request.topics:
        rows: list[PartitionResult] = []
        for index, records in partitions:
            if refusal is not None:
                rows.append(PartitionResult(index, refusal, -1, -1, -1))
            else:
                rows.append(append_batch(services, request.acks, version, topic, index, records, waits))
        results.append(TopicResult(topic, rows))
    if (
        refusal is None
        and version >= ZSTD_FROM
        and len(results) == 1
        and len(results[0].partitions) == 1
        and not results[0].partitions[0].error_code
    ):
        shape = learn(frame, version, request)
        if shape is not None:
            line.add_lane(ProduceLane(shape, services))
    counters = services.counters.of(ApiKey.PRODUCE)
    if request.acks == ACKS_ALL and waits:
        pending = [(p, offset) for p, offset in waits if offset >= p.high_watermark]
        if pending:
            delayed = DelayedProduce(
                line.defer(), correlation_id, version, results, len(pending), started, counters.record
            )
            for partition, offset in pending:
                partition.when_committed(offset, partial(delayed.committed, partition))
            return
    counters.record((_now().time() - started) * 1000)
    if request.acks == 0:
        # A client that asked for no reply learns of a failure by losing its connection, as with Kafka.
        failed = next((r.error_code for t in results for r in t.partitions if r.error_code), 0)
        if failed:
            line.abort(f"produce with acks=0 failed: {ErrorCode(failed).name}")
        return
    line.send((encode_response(correlation_id, version, results),))
