"""Log folders that Apache Kafka 4.1 wrote are read as Kafka's own DumpLogSegments reads them (tests/data/…/expected)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from mainstem.api.files import OsFiles
from mainstem.core.log.epochs import EpochStart, LeaderEpochs
from mainstem.core.log.producer_state import ProducerStates
from mainstem.core.log.recovery import RecoveryWalk
from mainstem.core.log.state import LogState
from mainstem.model import records
from mainstem.model.batch import crc_matches, iterate
from mainstem.model.ids import TopicPartition, topic_id_text
from mainstem_plugins.storage_segments.store import SegmentStore

GOLDEN = Path(__file__).parents[2] / "data" / "kafka-4.1-log"
TOPICS = ("golden", "golden-compacted", "golden-logappend")
BATCH = re.compile(
    r"baseOffset: (\d+) lastOffset: (\d+) count: (\d+) baseSequence: (-?\d+) lastSequence: (-?\d+) producerId: (-?\d+) "
    r"producerEpoch: (-?\d+) partitionLeaderEpoch: (\d+) isTransactional: (\w+) isControl: (\w+) .*? position: (\d+) "
    r"(?:CreateTime|LogAppendTime): (\d+) size: (\d+) magic: 2 compresscodec: (\w+) crc: (\d+)"
)
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    shutil.copytree(GOLDEN, tmp_path / "data")
    return SegmentStore(tmp_path / "data", OsFiles(), open_files_max=10)


def read_all(store: SegmentStore, topic: str) -> bytes:
    log = store.open_log(TopicPartition(topic, 0), dict(store.existing())[TopicPartition(topic, 0)])
    parts, offset = [], log.segments()[0].base_offset
    while offset < log.end_offset:
        data = bytes(log.read(offset, log.end_offset, 1 << 20))
        *_, (_, last) = iterate(data)
        parts.append(data)
        offset = last.next_offset
    return b"".join(parts)


@pytest.mark.parametrize("topic", TOPICS)
def test_batches_are_those_that_kafka_prints(store: SegmentStore, topic: str) -> None:
    expected = [m.groups() for m in BATCH.finditer((GOLDEN / "expected" / f"{topic}-0.txt").read_text())]
    assert expected
    data = read_all(store, topic)
    found = []
    for position, h in iterate(data):
        assert crc_matches(data, position, h)
        found.append(
            (
                *map(
                    str,
                    (
                        h.base_offset,
                        h.last_offset,
                        h.records_count,
                        h.base_sequence,
                        h.last_sequence,
                        h.producer_id,
                        h.producer_epoch,
                        h.leader_epoch,
                    ),
                ),
                str(h.is_transactional).lower(),
                str(h.is_control).lower(),
                str(h.max_timestamp),
                str(h.size),
                CODECS[h.codec],
                str(h.crc),
            )
        )
    assert found == [(*e[:10], *e[11:]) for e in expected]


@pytest.mark.parametrize("topic", TOPICS)
def test_records_are_those_that_kafka_prints(store: SegmentStore, topic: str) -> None:
    lines = (GOLDEN / "expected" / f"{topic}-0.txt").read_text().splitlines()
    expected = []
    for line in lines:
        match = re.match(
            r"\| offset: (\d+) (?:CreateTime|LogAppendTime): (\d+) keySize: (-?\d+) valueSize: (-?\d+) ", line
        )
        if match and "endTxnMarker" not in line:
            expected.append(tuple(map(int, match.groups())))
    columns = records.decode(read_all(store, topic))
    found = [
        (o, t, -1 if k is None else len(k), -1 if v is None else len(v))
        for o, t, k, v in zip(columns.offsets, columns.timestamps, columns.keys, columns.values, strict=True)
    ]
    assert found == expected


def test_sidecars_are_read_as_kafka_wrote_them(store: SegmentStore) -> None:
    partition = TopicPartition("golden", 0)
    topic_id = dict(store.existing())[partition]
    assert f"topic_id: {topic_id_text(topic_id)}" in (GOLDEN / "golden-0" / "partition.metadata").read_text()
    log = store.open_log(partition, topic_id)
    assert list(log.sidecars("snapshot")) == [100, 117]
    content = log.get_sidecar("snapshot", 117)
    states = ProducerStates.decode_snapshot(content)
    assert states is not None
    summary = {
        pid: (
            e.epoch,
            e.coordinator_epoch,
            e.batches[-1].first_sequence,
            e.batches[-1].last_sequence,
            e.batches[-1].last_offset,
        )
        for pid, e in states.entries.items()
    }
    assert summary == {0: (0, -1, 4, 4, 104), 1: (2, 0, 0, 2, 115)}
    assert states.encode_snapshot() == content
    assert LeaderEpochs.decode(log.get_sidecar("leader-epoch-checkpoint", 0)).entries == [EpochStart(0, 0)]
    assert store.read_checkpoint("recovery-point-offset-checkpoint")[partition] == 117


def test_recovery_keeps_all_of_a_log_that_kafka_wrote(store: SegmentStore) -> None:
    partition = TopicPartition("golden", 0)
    log = store.open_log(partition, dict(store.existing())[partition])
    before = log.end_offset
    walk = RecoveryWalk(LogState(), 0, 0)
    log.recover(0, walk.accept)
    assert (log.end_offset, walk.state.epochs.latest) == (before, 0)
    assert walk.batches_read > 5
