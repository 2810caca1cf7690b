"""A process that writes is killed again and again, at any moment; what it acknowledged is there, whole and in order."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from mainstem.api.context import PluginContext
from mainstem.api.storage import PartitionLog
from mainstem.core.log.recovery import RecoveryWalk
from mainstem.core.log.state import LogState
from mainstem.model.batch import iterate
from mainstem.model.ids import TopicPartition
from mainstem_plugins.storage_sqlite import SqliteConfig, open_store

sys.path.insert(0, str(Path(__file__).parent))
from sqlite_writer import KEPT, SHORT, TOPIC_ID, batch_of

KILLS = 30
SEED = 20261125


def test_nothing_acknowledged_is_lost_to_kill_9(tmp_path: Path, context: PluginContext) -> None:
    rng = random.Random(SEED)
    acknowledged = {KEPT: 0, SHORT: 0}
    ends = [0]
    command = [sys.executable, str(Path(__file__).with_name("sqlite_writer.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writers:
        for number in range(KILLS):
            run_and_kill(writers, tmp_path, f"{SEED}/{number}", rng.choice((0, 1, 2, 6)), acknowledged)
            store = open_store(SqliteConfig(), context, tmp_path)
            assert not store.was_clean or not store.existing()
            for partition in (KEPT, SHORT):
                log = store.open_log(partition, TOPIC_ID)
                walk = RecoveryWalk(LogState(), 0, 0)
                end = log.end_offset
                log.recover(0, walk.accept)
                assert log.end_offset == end, f"kill {number} left something torn in {partition.topic}"
                assert end >= acknowledged[partition], f"kill {number} lost records of {partition.topic}"
                first = log.segments()[0].base_offset if partition == SHORT else 0
                assert first <= max(0, end - 20)
                # What the kills before this one left is compared once more every few times only.
                compare(log, partition, first if number % 10 == 9 else max(first, ends[-1]))
            ends.append(store.open_log(KEPT, TOPIC_ID).end_offset)
            store.close(clean=False)
        assert writers.stdin is not None
        writers.stdin.close()
    assert ends[-1] > 300, "it hardly wrote anything"
    with sqlite3.connect(tmp_path / "mainstem.sqlite3") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def run_and_kill(
    writers: subprocess.Popen[str], directory: Path, seed: str, reports: int, acknowledged: dict[TopicPartition, int]
) -> None:
    """Kill a writer after about that many acknowledgements; the offsets it printed until then are added."""
    assert writers.stdin is not None
    assert writers.stdout is not None
    print(directory, seed, file=writers.stdin, flush=True)
    process_id = int(writers.stdout.readline())
    seen = 0
    # Acknowledgements that were on their way when it was killed count as well.
    for line in writers.stdout:
        if line == "ended\n":
            break
        acknowledged[KEPT], acknowledged[SHORT] = map(int, line.split())
        if seen == reports:
            os.kill(process_id, signal.SIGKILL)
        seen += 1
    assert seen > reports, "the writer ended by itself"


def compare(log: PartitionLog, partition: TopicPartition, first: int) -> None:
    offset = first
    while offset < log.end_offset:
        data = bytes(log.read(offset, log.end_offset, 1 << 20))
        for position, header in iterate(data):
            assert header.base_offset == offset
            assert data[position : position + header.size] == batch_of(partition, offset)
            offset = header.next_offset
