"""What test_sqlite_kill.py kills: appends and flushes, and prints every offset that a flush made durable.

Reads one line per writer, `directory seed`, and forks it, so that imports are done once. Prints the process id of
the writer, what the writer says, and `ended`.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mainstem.api.files import OsFiles
from mainstem.model.ids import TopicId, TopicPartition
from mainstem.telemetry.logs import get_logger
from mainstem.testing.conformance.storage_samples import append, batch_at
from mainstem_plugins.storage_sqlite.database import Database
from mainstem_plugins.storage_sqlite.store import SqliteStore

TOPIC_ID = TopicId(bytes(range(16)))
KEPT = TopicPartition("kept", 0)
SHORT = TopicPartition("short", 0)
"""Its old segments are deleted."""
APPENDS_PER_RUN = 100_000


def batch_of(partition: TopicPartition, offset: int) -> bytearray:
    """The batch with that place, the same in every process."""
    rng = random.Random(f"{partition.topic}/{offset}")
    return batch_at(offset, timestamp=1000 + offset, payload=rng.randbytes(rng.choice((10, 300, 3000, 20_000))))


def write_until_killed(directory: Path, seed: str) -> None:
    rng = random.Random(seed)
    with ThreadPoolExecutor(1) as executor:
        database = Database(directory / "mainstem.sqlite3", OsFiles(), busy_timeout_ms=10_000)
        store = SqliteStore(database, executor, get_logger("test"), staging_bytes_max=60_000, cache_bytes_max=20_000)
        logs = {partition: store.open_log(partition, TOPIC_ID) for partition in (KEPT, SHORT)}
        wants_flush = threading.Event()

        def flush_for_ever() -> None:
            while True:
                wants_flush.wait()
                wants_flush.clear()
                ends = {partition: log.end_offset for partition, log in logs.items()}
                logs[KEPT].flush()
                # One system call, so that a kill leaves a whole line or none.
                os.write(1, b"%d %d\n" % (ends[KEPT], ends[SHORT]))

        threading.Thread(target=flush_for_ever, daemon=True).start()
        for _ in range(APPENDS_PER_RUN):
            partition = rng.choice((KEPT, SHORT))
            log = logs[partition]
            append(log, batch_of(partition, log.end_offset))
            wants_flush.set()
            if rng.random() < 0.05:
                log.roll(log.end_offset)
                log.put_sidecar("snapshot", log.end_offset, b"state")
            if rng.random() < 0.05:
                logs[SHORT].delete_before(logs[SHORT].end_offset - 20)
            if rng.random() < 0.02:
                store.purge()


def main() -> None:
    for line in sys.stdin:
        directory, seed = line.split()
        writer = os.fork()
        if writer == 0:
            write_until_killed(Path(directory), seed)
            os._exit(1)
        print(writer, flush=True)
        os.waitpid(writer, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
