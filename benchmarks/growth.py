"""What a broker costs as partitions, connections and groups grow: each size on a broker of its own."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import wire
import wire_setup
from cells import KILOBYTE, Cell
from exchange import Exchange
from measurements import Outcome
from members import commit_rate
from processes import open_files, open_files_max, resident_megabytes
from subjects import BrokerNode, PeerUnavailableError, Topics

PHASE_TIMEOUT_S = 120.0
_PARTITIONS_PER_TOPIC = 1_000
_SETTLE_S = 2.0
_PARTITIONS_WRITTEN = 100
_WRITES_AT_ONCE = 50
_RETRY_S = 0.01
_STOP_TIMEOUT_S = 120.0
_RETRIABLE = {3, 5, 6, 7}


def grow_partitions(broker: BrokerNode, count: int) -> Outcome:
    """Make so many partitions, the last hundred with a record, end the broker and start it again on them.

    Both parts have a limit: a broker that needs longer for one is noted as such.
    """
    topics = Topics(broker.bootstrap, timeout_s=PHASE_TIMEOUT_S)
    sizes = {
        f"grown-{first}": min(_PARTITIONS_PER_TOPIC, count - first) for first in range(0, count, _PARTITIONS_PER_TOPIC)
    }
    began = time.monotonic()
    for name, size in sizes.items():
        topics.create(name, size, {})
    # An answer to CreateTopics comes before the logs are there: they are when the last ones take records.
    last, size = list(sizes.items())[-1]
    written = range(max(0, size - _PARTITIONS_WRITTEN), size)
    write_to_all(broker, last, list(written), began + PHASE_TIMEOUT_S)
    figures = {"create_s": time.monotonic() - began}
    broker.end(timeout_s=_STOP_TIMEOUT_S)
    began = time.monotonic()
    try:
        broker.start_again(timeout_s=PHASE_TIMEOUT_S)
        wait_for_leaders(broker, count, began + PHASE_TIMEOUT_S)
    except (TimeoutError, PeerUnavailableError):
        if not broker.is_running:
            raise
        broker.kill()
        return Outcome(figures, f"> {PHASE_TIMEOUT_S:.0f} s")
    figures["start_s"] = time.monotonic() - began
    time.sleep(_SETTLE_S)
    figures["resident_megabytes"] = resident_megabytes(broker.pid)
    figures["open_files"] = open_files(broker.pid)
    figures["open_files_share"] = open_files(broker.pid) / open_files_max(broker.pid)
    return Outcome(figures)


def write_to_all(broker: BrokerNode, name: str, waiting: list[int], deadline: float) -> None:
    """One record of a kilobyte to each partition, some at once; those that have no leader yet are tried again.

    Raises:
        TimeoutError: not all took theirs before the deadline.
    """
    exchange = Exchange(broker.bootstrap, 0)
    topic = wire.TopicName(name)
    batch = wire.record_batch(wire.random_values(1, KILOBYTE), int(time.time() * 1_000))
    error_at = wire.produce_7_answer(topic).error_at - 4
    while waiting:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(waiting):,} partitions of {name} took no record in time")
        some, waiting = waiting[:_WRITES_AT_ONCE], waiting[_WRITES_AT_ONCE:]
        answers = exchange.ask_all([wire.produce_7(topic, partition, 1, batch) for partition in some])
        for partition, answer in zip(some, answers, strict=True):
            error = int.from_bytes(answer[error_at : error_at + 2], "big")
            if error in _RETRIABLE:
                waiting.append(partition)
                time.sleep(_RETRY_S)
            elif error:
                raise ValueError(f"Produce to partition {partition} of {name} was answered with error {error}")
    exchange.socket.close()


def wait_for_leaders(broker: BrokerNode, count: int, deadline: float) -> None:
    """Ask for the metadata of all topics until so many partitions have a leader.

    Raises:
        TimeoutError: fewer have one at the deadline.
    """
    exchange = Exchange(broker.bootstrap, 0)
    while (led := wire_setup.count_led_partitions(exchange.ask(wire_setup.all_topics_request()))) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {led:,} of {count:,} partitions have a leader")
        time.sleep(0.01)
    exchange.socket.close()


def grow_connections(broker: BrokerNode, count: int) -> dict[str, float]:
    """Open so many connections that each ask for versions and metadata, and then are idle."""
    before = resident_megabytes(broker.pid)
    with many_files():
        began = time.monotonic()
        exchanges = []
        for _ in range(count):
            exchange = Exchange(broker.bootstrap, 0)
            for request in (wire_setup.API_VERSIONS_REQUEST, wire_setup.all_topics_request()):
                exchange.ask(request)
            exchanges.append(exchange)
        open_s = time.monotonic() - began
        time.sleep(_SETTLE_S)
        after = resident_megabytes(broker.pid)
        for exchange in exchanges:
            exchange.socket.close()
    return {"open_s": open_s, "more_megabytes": after - before, "resident_megabytes": after}


def grow_groups(broker: BrokerNode, count: int, seconds: float) -> dict[str, float]:
    """So many groups with a member each that sends heartbeats and commits offsets, one commit in flight."""
    Topics(broker.bootstrap).create("committed", 1, {})
    before = resident_megabytes(broker.pid)
    with many_files():
        figures = commit_rate(broker.bootstrap, "committed", count, seconds)
    after = resident_megabytes(broker.pid)
    return {**figures, "more_megabytes": after - before, "resident_megabytes": after}


@contextmanager
def many_files() -> Iterator[None]:
    """As many open files as the system allows; for this process only, not for brokers it starts later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def grow(cell: Cell, broker: BrokerNode, seconds: float) -> Outcome:
    match cell.kind:
        case "partitions":
            return grow_partitions(broker, cell.count)
        case "open connections":
            return Outcome(grow_connections(broker, cell.count))
        case "groups":
            return Outcome(grow_groups(broker, cell.count, seconds))
    raise AssertionError(f"{cell.name} is not about growth")
