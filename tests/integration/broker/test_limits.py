"""What clients do at their worst costs a bounded amount of memory: of a broker in a process of its own, at its peak."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem.model import records
from mainstem.wire import codec
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages import fetch, metadata, produce
from mainstem.wire.schema import Message

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
MakeBroker = Callable[..., Any]
MEGABYTE = 1_000_000
TIMEOUT_S = 60
VERSIONS = {ApiKey.FETCH: 11, ApiKey.PRODUCE: 7, ApiKey.METADATA: 8}
TOPIC_BYTES = 16 * MEGABYTE


class Connection:
    """Speaks older versions of the protocol, and reads only when it is told to."""

    def __init__(self, bootstrap: str, *, receive_bytes: int | None = None) -> None:
        host, port = bootstrap.split(":")
        self.socket = socket.socket()
        self.socket.settimeout(TIMEOUT_S)
        if receive_bytes is not None:
            # Before connecting, or the system has promised the other side more already.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect((host, int(port)))

    def receive(self) -> int:
        """Size of the next reply, which is read to its end."""
        (size,) = struct.unpack(">i", self._read(4))
        self._read(size)
        return int(size)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self.socket.recv(min(1 << 20, size - len(data)))
            assert more, "the broker hung up"
            data += more
        return bytes(data)


@contextmanager
def connections(bootstrap: str, count: int, *, receive_bytes: int | None = None) -> Iterator[list[Connection]]:
    with ExitStack() as stack:
        made = [Connection(bootstrap, receive_bytes=receive_bytes) for _ in range(count)]
        for connection in made:
            stack.callback(connection.socket.close)
        yield made


def frame(api: ApiKey, message: Message) -> bytes:
    version = VERSIONS[api]
    body = struct.pack(">hhih", api, version, 7, 4) + b"test"
    body += codec.encode(codec.request_schema(api), version, message)
    return struct.pack(">i", len(body)) + body


def fetch_frame() -> bytes:
    wanted = fetch.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=TOPIC_BYTES)
    topic = fetch.FetchTopic(topic="orders", partitions=[wanted])
    return frame(ApiKey.FETCH, fetch.FetchRequest(max_wait_ms=0, min_bytes=1, max_bytes=TOPIC_BYTES, topics=[topic]))


def produce_frame(batch: bytes) -> bytes:
    data = produce.PartitionProduceData(index=0, records=batch)
    topic = produce.TopicProduceData(name="orders", partition_data=[data])
    return frame(ApiKey.PRODUCE, produce.ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[topic]))


def metadata_frame() -> bytes:
    return frame(ApiKey.METADATA, metadata.MetadataRequest(topics=None))


def create_topic(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("orders", 1, 1)])["orders"].result(TIMEOUT_S)


class Memory:
    """How far a process went beyond what it held when this was made."""

    def __init__(self, process_id: int) -> None:
        self._folder = Path(f"/proc/{process_id}")
        # 5 forgets the peak of before.
        (self._folder / "clear_refs").write_text("5")
        self._before = self._read("VmRSS")

    def _read(self, name: str) -> int:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"the process shows no {name}")

    def growth(self) -> int:
        """Bytes at the peak."""
        return self._read("VmHWM") - self._before


@pytest.mark.parametrize("clients", [30, 120])
def test_clients_that_never_read_their_replies_cost_a_bounded_amount(broker_process: MakeBroker, clients: int) -> None:
    """All ask fifty times for 16 MB each; of thirty that is 24 GB. Another one is served meanwhile, and afterwards."""
    broker = broker_process()
    broker.start()
    create_topic(broker.bootstrap_servers)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 5})
    for _ in range(2 * TOPIC_BYTES // 100_000):
        producer.produce("orders", bytes(100_000), partition=0)
        producer.poll(0)
    assert producer.flush(TIMEOUT_S) == 0
    memory = Memory(broker.pid)
    with (
        connections(broker.bootstrap_servers, clients, receive_bytes=4096) as silent,
        connections(broker.bootstrap_servers, 1) as others,
    ):
        for connection in silent:
            connection.socket.sendall(fetch_frame() * 50)
        # Reads from the disk wait in one line, so when these are answered the others have had theirs.
        for _ in range(5):
            others[0].socket.sendall(fetch_frame())
            assert others[0].receive() > 60_000
        assert memory.growth() < 450 * MEGABYTE
    with connections(broker.bootstrap_servers, 1) as later:
        later[0].socket.sendall(metadata_frame())
        assert later[0].receive() > 20


def test_frames_that_never_come_cost_what_has_come(broker_process: MakeBroker) -> None:
    """Two hundred connections: half a length, a length of 100 MB and a few bytes, or nothing at all."""
    broker = broker_process()
    broker.start()
    beginnings = (b"\0\0", struct.pack(">i", 100 * 1024 * 1024) + b"some bytes", b"")
    with (
        connections(broker.bootstrap_servers, 1) as others,
        connections(broker.bootstrap_servers, 200) as silent,
    ):
        memory = Memory(broker.pid)
        for number, connection in enumerate(silent):
            connection.socket.sendall(beginnings[number % 3])
        for _ in range(20):
            others[0].socket.sendall(metadata_frame())
            assert others[0].receive() > 20
        assert memory.growth() < 30 * MEGABYTE
        # They are not forgotten: what is complete is answered.
        silent[2].socket.sendall(metadata_frame())
        assert silent[2].receive() > 20


@contextmanager
def slow_disk_broker(directory: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, str(Path(__file__).with_name("slow_disk_broker.py")), str(directory), "0.2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize("storage", ["segments on a slow disk", "sqlite"])
def test_producers_at_full_speed_cost_a_bounded_amount(
    broker_process: MakeBroker, tmp_path: Path, storage: str
) -> None:
    """Fifty connections send a hundred requests of 20 kB each before they read a reply, acks=all, 100 MB in all."""
    with ExitStack() as stack:
        if storage == "sqlite":
            broker = broker_process("log.storage=sqlite")
            broker.start()
            bootstrap, process_id = broker.bootstrap_servers, broker.pid
        else:
            bootstrap, process_id = stack.enter_context(slow_disk_broker(tmp_path / "data"))
        create_topic(bootstrap)
        request = produce_frame(records.encode([None], [bytes(range(256)) * 80], [1000]))
        memory = Memory(process_id)
        made = stack.enter_context(connections(bootstrap, 50))
        replies: list[int] = []

        def send_and_read(connection: Connection) -> None:
            for _ in range(100):
                connection.socket.sendall(request)
            replies.extend(connection.receive() for _ in range(100))

        threads = [threading.Thread(target=send_and_read, args=(connection,)) for connection in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(replies) == 50 * 100
        assert memory.growth() < 150 * MEGABYTE
