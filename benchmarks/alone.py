"""Measurements that need a broker of their own, or none: start, memory, growth, restart, the disk."""

import os
import time
from pathlib import Path

from cells import Cell
from confluent_kafka import KafkaException
from exchange import percentile
from growth import grow
from measurements import Outcome
from processes import resident_megabytes
from restart import restart
from subjects import BrokerNode, PeerUnavailableError, new_broker

_IDLE_S = 1.0
_SYNCS = 300
_SYNC_BYTES = 1_100
_GROUP_SECONDS = 3.0


def measure_alone(cell: Cell, subject: str, folder: Path, gigabytes: float) -> Outcome:
    """Measure a cell on a new broker that is removed afterwards."""
    if cell.kind == "fdatasync":
        return Outcome(sync_times(folder))
    with new_broker(subject, folder) as broker:
        if cell.kind == "start":
            # Long enough for what a broker does after it has answered for the first time.
            time.sleep(_IDLE_S)
            return Outcome({"start_s": broker.seconds_to_answer, "idle_megabytes": resident_megabytes(broker.pid)})
        try:
            if cell.kind == "restart":
                return Outcome(restart(broker, gigabytes))
            return grow(cell, broker, _GROUP_SECONDS)
        except (OSError, ValueError, KafkaException, PeerUnavailableError) as error:
            # What is too much for a broker is a result too.
            return Outcome(note=_why(broker, error))


def _why(broker: BrokerNode, error: Exception) -> str:
    if "Too many open files" in broker.printed():
        return "died: too many open files"
    if not broker.is_running:
        return "died"
    return f"failed: {str(error)[:60]}"


def sync_times(folder: Path) -> dict[str, float]:
    """How long an append of about a request of a kilobyte takes to reach the disk."""
    times_ms = []
    with (folder / "synced").open("ab", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(_SYNC_BYTES))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times_ms.append(1_000 * (time.perf_counter() - began))
    times_ms.sort()
    return {"p50_ms": percentile(times_ms, 0.5), "p99_ms": percentile(times_ms, 0.99)}
