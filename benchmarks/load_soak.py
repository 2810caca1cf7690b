"""The load of the soak: producers at full speed and a reader behind each, for as long as they are told."""

import gc
import json
import struct
import sys

from cells import MEBIBYTE, Cell, Job
from exchange import Exchange, Loop, Tally
from load_produce import Producer, open_topic
from wire import FetchLimits, TopicName
from wire_newer import Fetch18

_PARTITIONS = 4
_CELL = Cell(kind="produce", in_flight=100, connections=_PARTITIONS)
_BUFFER_BYTES = 4 * MEBIBYTE
_OUT_OF_RANGE = "error 1 "


class Reader(Exchange):
    """Reads what its producer has written; jumps to the end when retention was faster."""

    def __init__(self, job: Job, topic: TopicName, partition: int, first_offset: int, written: Tally) -> None:
        super().__init__(job.bootstrap, _BUFFER_BYTES)
        self._fetch = Fetch18(topic, partition, FetchLimits(max_bytes=MEBIBYTE))
        self._written = written
        self._offset = self._first_offset = first_offset
        self.records = 0
        self.jumps = 0

    def begin(self) -> None:
        self.write([self._fetch.at(self._offset)])

    def on_filled(self) -> None:
        size = 4 + int.from_bytes(self.buffer[:4], "big")
        if self.filled < size:
            return
        try:
            self._take(self._fetch.records(self.view[:size]))
        except ValueError as error:
            if _OUT_OF_RANGE not in f"{error} ":
                raise
            self.jumps += 1
            self._offset = self._first_offset + self._written.records
        self.consume(size)
        self.begin()

    def _take(self, records: memoryview) -> None:
        """One record a batch, all of one size: the first and the last whole batch tell what came."""
        if len(records) < 61:
            return
        first, length = struct.unpack_from(">qi", records, 0)
        if first != self._offset:
            raise AssertionError(f"asked for offset {self._offset}, got {first}")
        count = len(records) // (12 + length)
        (last,) = struct.unpack_from(">q", records, (count - 1) * (12 + length))
        if last != first + count - 1:
            raise AssertionError(f"{count} batches from offset {first} end at {last}")
        self._offset += count
        self.records += count


def main() -> None:
    given = json.loads(sys.argv[1])
    job = Job(**given, cell=_CELL, warm_up_s=0, bytes_max=0)
    topic = open_topic(job)
    # Latencies are not kept: only what is written is counted, so that this process does not grow either.
    tallies = [_Written() for _ in range(_PARTITIONS)]
    producers = [Producer(job, topic, partition, tally) for partition, tally in enumerate(tallies)]
    readers = []
    for partition, (producer, tally) in enumerate(zip(producers, tallies, strict=True)):
        # What was written before is of batches of another size: the readers begin behind the first record.
        readers.append(Reader(job, topic, partition, producer.prime() + 1, tally))
    loop = Loop([*producers, *readers])
    for exchange in (*producers, *readers):
        exchange.begin()
    gc.freeze()
    loop.run(job.seconds)
    figures = {
        "records written": sum(tally.records for tally in tallies),
        "records read": sum(reader.records for reader in readers),
        "records written per s": sum(tally.records for tally in tallies) / job.seconds,
        "times a reader was overtaken by retention": sum(reader.jumps for reader in readers),
    }
    json.dump(figures, sys.stdout)


class _Written(Tally):
    def add(self, latency_s: float, requests: int, records: int, size: int) -> None:
        self.records += records


if __name__ == "__main__":
    main()
