"""What is not in memory is read in a thread; meanwhile, and then, everybody gets what they asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem import Broker
from mainstem.api.files import RWF_NOWAIT, OsFiles, WouldBlock
from mainstem.testing.conformance.storage import PARTITION, TOPIC_ID, append, batch_at, offsets_in
from mainstem_plugins.storage_segments.store import SegmentStore

pytestmark = pytest.mark.skipif(sys.platform != "linux" or RWF_NOWAIT is None, reason="needs RWF_NOWAIT")
RECORDS = 300


def drop_from_memory(folder: Path) -> bool:
    """Whether the system has really forgotten the pages of the log files."""
    is_cold = True
    for path in folder.glob("*.log"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            is_cold = is_cold and os.fstat(descriptor).st_size > 0 and not is_resident(descriptor)
        finally:
            os.close(descriptor)
    return is_cold


def is_resident(descriptor: int) -> bool:
    try:
        os.preadv(descriptor, [bytearray(1)], 0, RWF_NOWAIT or 0)
    except BlockingIOError:
        return False
    return True


def test_cold_log_is_read_to_its_end(tmp_path: Path) -> None:
    values = [os.urandom(10_000) for _ in range(RECORDS)]
    with Broker(data=tmp_path) as broker:
        servers = {"bootstrap.servers": broker.bootstrap_servers}
        admin = AdminClient(servers)
        admin.create_topics([NewTopic("cold", 1, 1, config={"segment.bytes": "1048576"})])["cold"].result(20)
        producer = Producer(servers)
        for value in values:
            producer.produce("cold", value, partition=0)
        assert producer.flush(20) == 0
        if not drop_from_memory(tmp_path / "cold-0"):
            pytest.skip("this file system keeps everything in memory")
        consumer = Consumer({**servers, "group.id": "reader", "enable.auto.commit": False})
        consumer.assign([TopicPartition("cold", 0, 0)])
        found: list[bytes] = []
        while len(found) < RECORDS:
            found += [message.value() for message in consumer.consume(RECORDS - len(found), 20)]
        consumer.close()
    assert found == values


def test_lookup_tables_that_are_not_in_memory_are_read_in_a_thread(tmp_path: Path) -> None:
    """A closed segment of yesterday: its pages may be cached, its index file is not loaded yet."""
    store = SegmentStore(tmp_path, OsFiles(), open_files_max=10)
    log = store.open_log(PARTITION, TOPIC_ID)
    for offset in range(100):
        append(log, batch_at(offset, payload=bytes(500)))
    log.roll(100)
    append(log, batch_at(100))
    log.flush()
    log.close()
    store.close(clean=True)
    again = SegmentStore(tmp_path, OsFiles(), open_files_max=10).open_log(PARTITION, TOPIC_ID)
    with pytest.raises(WouldBlock):
        again.read(50, 101, 1000, may_block=False)
    assert offsets_in(again.read(50, 101, 1000, may_block=True))[0] == 50
    assert offsets_in(again.read(60, 101, 1000, may_block=False))[0] == 60
