"""A shard is rebuilt from its log: ours, and what Apache Kafka 4.1 wrote, transactions included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainstem.core.group.records import GroupRecord, OffsetStored
from mainstem.core.group.settings import GroupSettings
from mainstem.core.group.shard import GroupShard
from mainstem.model.batch import BatchHeader, build, iterate, patch_offset, read_header
from mainstem.model.ids import TopicPartition
from mainstem.model.records import decode, encode
from mainstem.runtime.coordinator_replay import ReplayError, replay, replay_batch
from mainstem.runtime.coordinator_shard import RecordFormat
from mainstem.wire.stored.consumer_offsets import decode_record, encode_record

DATA = Path(__file__).parents[2] / "data" / "kafka-4.1-consumer-offsets"
FORMAT = RecordFormat(encode_record, decode_record)
GOLDEN = TopicPartition("golden", 0)


def batches_of(partition: int) -> list[bytes]:
    raw = (DATA / f"{partition}.log").read_bytes()
    return [raw[position : position + header.size] for position, header in iterate(raw)]


def filled(partition: Any, batches: list[bytes]) -> Any:
    partition.batches = batches
    partition.log_end_offset = partition.high_watermark = read_header(batches[-1]).next_offset
    return partition


def offset_in(shard: GroupShard, group_id: str) -> int | None:
    entry = shard.offsets.of_group(group_id).get(GOLDEN)
    return None if entry is None else entry.stored.offset


async def test_a_log_of_apache_kafka_with_transactions_is_read_with_its_markers(make_partition: Any) -> None:
    """Three transactions: committed, aborted, committed. In between the offset is unstable."""
    shard, seen = GroupShard(GroupSettings()), []
    for raw in batches_of(49):
        header = read_header(raw)
        replay_batch(raw, header, shard, FORMAT)
        seen.append((offset_in(shard, "golden-eos"), shard.offsets.is_unstable("golden-eos", GOLDEN)))
    # Batches: group, group, commit 7, group, COMMIT, group, commit 7, group, ABORT, group, commit 7, group, COMMIT
    assert [unstable for _, unstable in seen] == [
        False, False, True, True, False, False, True, True, False, False, True, True, False
    ]  # fmt: skip
    assert [offset for offset, _ in seen] == [None] * 4 + [7] * 9
    again = GroupShard(GroupSettings())
    assert await replay(filled(make_partition(), batches_of(49)), again, FORMAT) == 12
    assert list(again.persisted()) == list(shard.persisted())


@pytest.mark.parametrize("partition", [8, 41, 49])
def test_our_batches_are_byte_for_byte_those_of_apache_kafka(partition: int) -> None:
    """Read each batch, write its records as a coordinator does: the same bytes, CRC included."""
    compared = 0
    for raw in batches_of(partition):
        header = read_header(raw)
        if header.is_control:
            continue
        columns = decode(raw)
        pairs = []
        for key, value in zip(columns.keys, columns.values, strict=True):
            record = decode_record(key, value)
            assert record is not None
            pairs.append(encode_record(record))
        ours = bytearray(
            encode(
                [key for key, _ in pairs],
                [value for _, value in pairs],
                columns.timestamps,
                base_sequence=0,
                producer_id=header.producer_id,
                producer_epoch=header.producer_epoch,
                attributes=header.attributes,
            )
        )
        patch_offset(ours, 0, header.base_offset, header.leader_epoch)
        assert bytes(ours) == raw
        compared += 1
    assert compared


def one_batch(*records: GroupRecord, base_offset: int = 0) -> bytes:
    pairs = [encode_record(r) for r in records]
    raw = bytearray(encode([k for k, _ in pairs], [v for _, v in pairs], [0] * len(pairs)))
    patch_offset(raw, 0, base_offset, 0)
    return bytes(raw)


def stored(offset: int, partition: int = 0) -> OffsetStored:
    return OffsetStored(
        group_id="g",
        topic="golden",
        partition=partition,
        offset=offset,
        leader_epoch=-1,
        metadata="",
        committed_at_ms=0,
    )


async def test_records_that_come_while_the_log_is_read_are_read_too(make_partition: Any) -> None:
    partition = filled(make_partition(), [one_batch(stored(1))])

    def grow() -> None:
        if len(partition.batches) == 1:
            partition.batches.append(one_batch(stored(2), base_offset=1))
            partition.log_end_offset = 2

    partition.before_chunk = grow
    shard = GroupShard(GroupSettings())
    assert await replay(partition, shard, FORMAT) == 1
    assert offset_in(shard, "g") == 2


async def test_a_tail_that_compaction_emptied_ends_the_reading(make_partition: Any) -> None:
    partition = filled(make_partition(), [one_batch(stored(1))])
    partition.log_end_offset = 10
    shard = GroupShard(GroupSettings())
    assert await replay(partition, shard, FORMAT) == 9
    assert offset_in(shard, "g") == 1


async def test_an_empty_log_is_read_at_once(make_partition: Any) -> None:
    assert await replay(make_partition(), GroupShard(GroupSettings()), FORMAT) == -1


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\0\1", b"\0\2garbage"])
async def test_a_record_that_cannot_be_read_is_named_by_its_offset(make_partition: Any, garbage: bytes) -> None:
    bad = bytearray(encode([garbage], [b"x"], [0]))
    patch_offset(bad, 0, 1, 0)
    partition = filled(make_partition(), [one_batch(stored(1)), bytes(bad)])
    with pytest.raises(ReplayError, match="offset 1"):
        await replay(partition, GroupShard(GroupSettings()), FORMAT)


async def test_a_record_without_a_key_cannot_be_read(make_partition: Any) -> None:
    partition = filled(make_partition(), [encode([None], [b"x"], [0])])
    with pytest.raises(ReplayError, match="no key"):
        await replay(partition, GroupShard(GroupSettings()), FORMAT)


def control_batch(key: bytes, base_offset: int) -> bytes:
    plain = encode([key], [b"\0\0\0\0\0\0"], [0], producer_id=7, producer_epoch=0, attributes=0x30)
    header: BatchHeader = read_header(plain)._replace(base_offset=base_offset)
    return build(header, plain[61:])


async def test_control_records_that_are_no_markers_are_left_alone(make_partition: Any) -> None:
    batches = [one_batch(stored(1)), control_batch(b"\0\0\0\5", 1)]
    shard = GroupShard(GroupSettings())
    assert await replay(filled(make_partition(), batches), shard, FORMAT) == 1


async def test_a_garbled_marker_cannot_be_passed_over(make_partition: Any) -> None:
    batches = [one_batch(stored(1)), control_batch(b"\0", 1)]
    with pytest.raises(ReplayError, match="offset 1"):
        await replay(filled(make_partition(), batches), GroupShard(GroupSettings()), FORMAT)
