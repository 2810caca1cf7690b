"""The load generator: a process of its own that reads one job from standard input and prints what it measured.

Nothing is encoded while it runs. Latency is from the moment a request is handed to the socket until its whole
answer is there.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence

from cells import Job
from exchange import Exchange, Loop, Tally, percentile
from load_end_to_end import Rate
from load_fetch import Fetcher, fetchers
from load_produce import DRAIN_TIMEOUT_S, Flood, Producer, open_topic
from processes import cpu_seconds, resident_megabytes


def produce(job: Job) -> dict[str, float]:
    topic, tally = open_topic(job), Tally()
    producers = [Producer(job, topic, partition, tally) for partition in range(job.cell.connections)]
    for producer in producers:
        producer.prime()
    loop = begin(producers)
    return measure(job, tally, loop)


def flood(job: Job) -> dict[str, float]:
    """acks=0 is never answered: what has been appended is known once a request with acks=1 behind it is answered."""
    topic = open_topic(job)
    floods = [Flood(job, topic, partition) for partition in range(job.cell.connections)]
    for each in floods:
        each.prime()
    loop = begin(floods)

    def settle() -> None:
        for each in floods:
            each.settle()
        loop.run(DRAIN_TIMEOUT_S, lambda: all(each.is_settled for each in floods))
        assert all(each.is_settled for each in floods), "the broker did not answer behind requests with acks=0"

    loop.run(job.warm_up_s)
    settle()
    before, meter = sum(each.requests for each in floods), Meter(job)
    for each in floods:
        each.begin()
    loop.run(job.seconds, lambda: sum(each.bytes_ever for each in floods) >= job.bytes_max)
    settle()
    requests = sum(each.requests for each in floods) - before
    records = requests * job.cell.records_per_request
    return meter.figures(requests, records, records * 1_000)


def fetch(job: Job) -> dict[str, float]:
    tally = Tally()
    opened: list[Fetcher] = fetchers(job, open_topic(job), tally)
    figures = measure(job, tally, begin(opened))
    return {**figures, "in_session": float(all(each.in_session for each in opened))}


def end_to_end(job: Job) -> dict[str, float]:
    tally = Tally()
    rate = Rate(job, open_topic(job), tally)
    figures = measure_with(job, tally, rate.run)
    return {**figures, "in_session": float(rate.in_session)}


def begin(exchanges: Sequence[Exchange]) -> Loop:
    loop = Loop(exchanges)
    for exchange in exchanges:
        exchange.begin()
    return loop


def measure(job: Job, tally: Tally, loop: Loop) -> dict[str, float]:
    return measure_with(job, tally, loop.run)


def measure_with(job: Job, tally: Tally, run: Callable[[float, Callable[[], bool]], None]) -> dict[str, float]:
    """Wait for the warm-up, count for the time of the job."""
    run(job.warm_up_s, lambda: False)
    tally.counting = True
    meter = Meter(job)
    writes = job.cell.kind == "produce"
    run(job.seconds, lambda: writes and tally.bytes_ever >= job.bytes_max)
    tally.counting = False
    figures = meter.figures(tally.requests, tally.records, tally.bytes)
    latencies_ms = tally.latencies_ms()
    assert latencies_ms, "nothing was answered in the time of the measurement"
    for name, fraction in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999)):
        figures[name] = percentile(latencies_ms, fraction)
    return figures


class Meter:
    """Clock and processor time from its making on."""

    def __init__(self, job: Job) -> None:
        self._pid = job.broker_pid
        self._began, self._own, self._broker = time.perf_counter(), time.process_time(), cpu_seconds(self._pid)

    def figures(self, requests: int, records: int, size: int) -> dict[str, float]:
        elapsed = time.perf_counter() - self._began
        return {
            "seconds": elapsed,
            "requests_per_s": requests / elapsed,
            "records_per_s": records / elapsed,
            "megabytes_per_s": size / elapsed / 1e6,
            "broker_cores": (cpu_seconds(self._pid) - self._broker) / elapsed,
            "generator_cores": (time.process_time() - self._own) / elapsed,
            "loaded_megabytes": resident_megabytes(self._pid),
        }


def main() -> None:
    job = Job.from_json(json.load(sys.stdin))
    produces = flood if job.cell.acks == 0 else produce
    work = {"produce": produces, "fetch": fetch, "end-to-end": end_to_end}[job.cell.kind]
    # The collector would stop the clock for nothing: the job makes no cycles worth collecting.
    gc.disable()
    json.dump(work(job), sys.stdout)


if __name__ == "__main__":
    main()
