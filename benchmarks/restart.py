"""Starting on a log of gigabytes: after a crash right behind the last record, then after a clean end."""

import time
from pathlib import Path

from cells import Cell, Job
from exchange import Loop, Tally
from growth import PHASE_TIMEOUT_S
from load_produce import Producer, open_topic, prime
from subjects import BrokerNode, Topics, folder_bytes

PARTITIONS = 4
_FILL_TIMEOUT_S = 240.0
_TOPIC = "long"
_WRITE = Cell(kind="produce", records_per_request=500, in_flight=2, connections=PARTITIONS, encoding="older")
_STOP_TIMEOUT_S = 60.0


def restart(broker: BrokerNode, gigabytes: float) -> dict[str, float]:
    """Fill a topic, kill the broker, start it, end it, start it; each start lasts until all partitions take a record."""
    Topics(broker.bootstrap).create(_TOPIC, PARTITIONS, {})
    seconds, ends = fill(broker, _TOPIC, gigabytes)
    held = folder_bytes(Path(broker.log_dir)) / 1e9
    broker.kill()
    killed_s = start_again(broker, ends)
    broker.end(timeout_s=_STOP_TIMEOUT_S)
    ends = [each + _WRITE.records_per_request for each in ends]
    clean_s = start_again(broker, ends)
    return {"gigabytes": held, "fill_s": seconds, "killed_s": killed_s, "clean_s": clean_s}


def fill(broker: BrokerNode, name: str, gigabytes: float) -> tuple[float, list[int]]:
    """Write so much to a topic of four partitions, in big batches; how long it took and the end offset of each."""
    job = _job(broker, name)
    topic, tallies = open_topic(job), [Tally() for _ in range(PARTITIONS)]
    producers = [Producer(job, topic, partition, tally) for partition, tally in enumerate(tallies)]
    for producer, tally in zip(producers, tallies, strict=True):
        producer.prime()
        tally.counting = True
    loop, began = Loop(producers), time.monotonic()
    for producer in producers:
        producer.begin()
    loop.run(_FILL_TIMEOUT_S, lambda: sum(tally.bytes for tally in tallies) >= gigabytes * 1e9)
    for producer in producers:
        producer.sending = False
    loop.run(_FILL_TIMEOUT_S, lambda: not any(producer.in_flight for producer in producers))
    for producer in producers:
        producer.socket.close()
    return time.monotonic() - began, [tally.records + _WRITE.records_per_request for tally in tallies]


def start_again(broker: BrokerNode, ends: list[int]) -> float:
    """Seconds from the command until each partition has taken a record behind all those it had acknowledged."""
    began = time.monotonic()
    broker.start_again(timeout_s=PHASE_TIMEOUT_S)
    job = _job(broker, _TOPIC)
    topic = open_topic(job)
    for partition, end in enumerate(ends):
        producer = Producer(job, topic, partition, Tally())
        base_offset = prime(producer, producer.frames)
        producer.socket.close()
        assert base_offset == end, f"partition {partition} went on at {base_offset}, acknowledged up to {end}"
    return time.monotonic() - began


def _job(broker: BrokerNode, topic: str) -> Job:
    return Job(
        bootstrap=broker.bootstrap,
        broker_pid=broker.pid,
        topic=topic,
        cell=_WRITE,
        warm_up_s=0,
        seconds=0,
        bytes_max=0,
    )
