"""Other people's clients against our broker, in this process, or the one MAINSTEM_TEST_BOOTSTRAP names.

The same tests run on Apache Kafka: see tests/conformance/peers/with_kafka.py.
"""

import os
import re
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

with warnings.catch_warnings():
    # kafka-python reads its schemas, while it is imported, through a function Python 3.11 has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka  # noqa: F401

_DEADLINE_S = 60.0

CREATED_AT_MS = 1_700_000_000_123


@dataclass(frozen=True)
class Sample:
    """A record as every client can send and read it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int


def _samples() -> list[Sample]:
    """Records that differ in all a record can differ in; their timestamps neither grow nor repeat."""
    odd = (("trace", b"\x00\xff"), ("trace", b"again"), ("empty", b""), ("ünïcode", "wärt".encode()))
    return [
        Sample(b"plain", b"value", (), CREATED_AT_MS),
        Sample(None, b"no key", (), CREATED_AT_MS + 5),
        Sample(b"tombstone", None, (), CREATED_AT_MS + 3),
        Sample(b"", b"", (), CREATED_AT_MS + 4),
        Sample(b"headers", b"value", odd, CREATED_AT_MS - 1_000),
        Sample(b"null header", None, (("nothing", None),), CREATED_AT_MS + 1),
        Sample(b"binary \x00\x01\xfe", bytes(range(256)) * 8, (), CREATED_AT_MS + 86_400_000),
        Sample(None, None, (), 1_000_000_000_000),
        Sample("schlüssel".encode(), b"x" * 70_000, (("k", b"v" * 300),), CREATED_AT_MS + 2),
    ]


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    return _samples()


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """`host:port` of the broker under test."""
    given = os.environ.get("MAINSTEM_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    from mainstem import Broker

    # Transactions that time out are looked for every ten seconds otherwise.
    with Broker({"transaction.abort.timed.out.transaction.cleanup.interval.ms": 500}) as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def admin(bootstrap: str) -> AdminClient:
    """An administrator for what a test needs before it begins."""
    return AdminClient({"bootstrap.servers": bootstrap})


@pytest.fixture
def fresh_name(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes names for topics and groups that no other test, and no earlier run, has used."""
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")[:60]
    return lambda: f"{stem}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def new_topic(admin: AdminClient, fresh_name: Callable[[], str]) -> Callable[..., str]:
    """Creates a topic of the given number of partitions and configs, and returns its name."""

    def create(partitions: int = 1, config: dict[str, str] | None = None) -> str:
        name = fresh_name()
        created = admin.create_topics([NewTopic(name, partitions, 1, config=config or {})])
        created[name].result(_DEADLINE_S)
        return name

    return create


@pytest.fixture
def eventually() -> Callable[[str, Callable[[], bool], Callable[[], object]], None]:
    """Repeats a step that waits by itself, as a poll does, until a condition holds or a deadline passes."""

    def repeat(what: str, holds: Callable[[], bool], step: Callable[[], object]) -> None:
        ends = time.monotonic() + _DEADLINE_S
        while not holds():
            assert time.monotonic() < ends, f"after {_DEADLINE_S:.0f} s still not true: {what}"
            step()

    return repeat
