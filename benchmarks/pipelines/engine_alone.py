"""How many records a second one pipeline takes, in one process: the engine alone, and on the embedded broker.

Run: python benchmarks/pipelines/engine_alone.py [records]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from mainstem import Batch, Count, Mean, Pipeline, Sum, Tumbling
from mainstem.app.loops import new_event_loop
from mainstem.app.run import run_async
from mainstem.app.run_options import RunOptions
from mainstem.pipeline.memory import memory_source, null_sink

RECORDS = 300_000
AIRPORTS = ("EWR", "JFK", "LGA")


def orders(count: int) -> Batch:
    values = [
        orjson.dumps({"id": number, "origin": AIRPORTS[number % 3], "delay": number % 90, "note": "x" * 60})
        for number in range(count)
    ]
    keys = [AIRPORTS[number % 3].encode() for number in range(count)]
    return Batch(keys=keys, values=values, timestamps=[1_700_000_000_000 + number for number in range(count)])


def plans(held: Batch) -> dict[str, Pipeline[Any]]:
    def memory(name: str) -> Pipeline[Any]:
        return Pipeline(name).source(connector=memory_source(held))

    def topic(name: str) -> Pipeline[Any]:
        orders = Pipeline(name).source("orders", value="json")
        return orders.filter(lambda value: value["delay"] < 80).map(running_sum())

    windowed = memory("window").map(orjson.loads).key_by("origin").window(Tumbling("10s"))
    return {
        "memory > map > null": memory("map").map(len).sink(connector=null_sink()),
        "memory > Python function > null": memory("function").map(lambda value: value[:10]).sink(connector=null_sink()),
        "memory > JSON > filter > running sum > null": memory("sum")
        .map(orjson.loads)
        .filter(lambda value: value["delay"] < 80)
        .map(running_sum())
        .sink(connector=null_sink()),
        "memory > JSON > key_by > window(Count, Mean, Sum) > null": windowed.aggregate(
            n=Count(), mean=Mean("delay"), total=Sum("delay")
        ).sink(connector=null_sink()),
        "memory > topic": memory("load").sink("orders"),
        "topic > JSON > filter > running sum > null": topic("read").sink(connector=null_sink()),
        "topic > JSON > filter > running sum > JSON > topic": topic("copy").sink("sums", value="json"),
    }


def running_sum() -> Any:
    totals: dict[str, int] = {}

    def add(value: dict[str, Any]) -> dict[str, Any]:
        origin = value["origin"]
        total = totals[origin] = totals.get(origin, 0) + value["delay"]
        return {"origin": origin, "total": total}

    return add


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    held = orders(count)
    with tempfile.TemporaryDirectory() as place, asyncio.Runner(loop_factory=new_event_loop) as runner:
        options = RunOptions(data=Path(place), once=True)
        for name, pipeline in plans(held).items():
            [summary] = runner.run(run_async([pipeline], options))
            assert summary.records_read == count
            seconds = max(summary.elapsed_ms, 1) / 1000
            print(f"{name:<60} {count / seconds:>12,.0f} records/s")


if __name__ == "__main__":
    main()
