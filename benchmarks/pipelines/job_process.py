"""A job as a process of its own, and the two topics that it gets."""

from __future__ import annotations

import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from orders import PARTITIONS
from subjects import Topics

END_S = 15.0


class JobTopics(NamedTuple):
    source: str
    sink: str


@contextmanager
def job_topics(bootstrap: str) -> Iterator[JobTopics]:
    """Made for one measurement, and deleted after it."""
    topics = Topics(bootstrap)
    made = JobTopics(f"orders-{uuid.uuid4().hex[:6]}", f"totals-{uuid.uuid4().hex[:6]}")
    for topic in made:
        topics.create(topic, PARTITIONS, {})
    try:
        yield made
    finally:
        for topic in made:
            topics.delete(topic)


@contextmanager
def job_process(command: Sequence[str], folder: Path, printed: Path) -> Iterator[subprocess.Popen[bytes]]:
    """In `folder`, with what it says in `printed`; ended also if it is stopped (SIGSTOP)."""
    with printed.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
