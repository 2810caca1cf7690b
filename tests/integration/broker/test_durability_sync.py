"""In the order of the system calls: an acks=all reply leaves after the fdatasync of what it acknowledges."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

CALLS = "openat,writev,write,pwrite64,sendmsg,sendto,fdatasync,fsync,close,accept4"
MARK = b"remember-me"


def can_trace() -> bool:
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", "/dev/null", "true"], check=False).returncode == 0


@pytest.mark.skipif(not can_trace(), reason="strace is missing, or ptrace is not permitted")
def test_reply_to_acks_all_leaves_after_the_sync(broker_process: Callable[..., Any], tmp_path: Path) -> None:
    broker = broker_process()
    broker.start()
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})
    producer.produce("orders", b"first", partition=0)
    assert producer.flush(20) == 0
    trace = tmp_path / "trace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-s", "400", "-y", "-e", f"trace={CALLS}", "-o", str(trace), "-p", str(broker.pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: tracing(broker.pid))
    try:
        for _ in range(5):
            producer.produce("orders", MARK, partition=0)
            assert producer.flush(20) == 0
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)
    calls = trace.read_text().splitlines()
    appends = [at for at, call in enumerate(calls) if MARK.decode() in call and ".log>" in call and "write" in call]
    assert len(appends) == 5, "\n".join(calls)
    for append, following in zip(appends, [*appends[1:], len(calls)], strict=True):
        between = calls[append:following]
        synced = next(at for at, call in enumerate(between) if is_finished_sync(call, between[: at + 1]))
        replied = next(at for at, call in enumerate(between) if is_reply(call))
        assert synced < replied, "\n".join(between)


def tracing(pid: int) -> bool:
    return re.search(r"^TracerPid:\s+[1-9]", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE) is not None


def wait_for(holds: Callable[[], bool]) -> None:
    for _ in range(10_000_000):
        if holds():
            return
    raise AssertionError("strace does not come up")


def is_finished_sync(call: str, until_here: list[str]) -> bool:
    """strace splits a call that another thread runs into: `fdatasync(… <unfinished ...>` and `<... fdatasync resumed>) = 0`."""
    if re.search(r"fdatasync\(\d+<[^>]*\.log>\)\s+= 0", call):
        return True
    if not re.search(r"<\.\.\. fdatasync resumed>\)\s+= 0", call):
        return False
    thread = call.split()[0]
    return any(c.startswith(thread) and re.search(r"fdatasync\(\d+<[^>]*\.log> <unfinished", c) for c in until_here)


def is_reply(call: str) -> bool:
    return re.search(r"(write|writev|sendmsg|sendto)\(\d+<(socket|TCP)", call) is not None
