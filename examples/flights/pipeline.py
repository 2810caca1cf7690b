"""A month of real flights through the embedded broker: CSV, Avro in a topic, windows per airport and day, SQLite.

Run: python examples/flights/pipeline.py   (`--help` lists the flags, such as --broker kafka://host:port)
"""

from __future__ import annotations

import datetime
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mainstem import Count, Max, Mean, Pipeline, Plugin, Tumbling, run

HERE = Path(__file__).resolve().parent
FLIGHTS = HERE / "flights-2013-01.csv.gz"
SCHEMA = HERE.parents[1] / "schemas" / "avro" / "flight.avsc"
DATA = Path("mainstem-data") / "flights-demo"
DATABASE = DATA / "delays.db"
BROKER_DATA = DATA / "broker"

NUMBERS = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "flight",
    "air_time",
    "distance",
]
# These flights are of 2013, and brokers delete by the time of the records.
KEEP = {"retention.ms": "-1"}


def scheduled(flight: dict[str, Any]) -> datetime.datetime:
    """Departure by the timetable, in local time taken as it is."""
    hour, minute = divmod(flight["sched_dep_time"], 100)
    return datetime.datetime(flight["year"], flight["month"], flight["day"], hour, minute, tzinfo=datetime.UTC)


def result(window: dict[str, Any]) -> dict[str, Any]:
    day = datetime.datetime.fromtimestamp(window["window_start"] / 1000, datetime.UTC).date()
    return {
        "origin": window["origin"],
        "day": day.isoformat(),
        "flights": window["flights"],
        "cancelled": window["flights"] - window["departed"],
        "mean_delay": window["mean_delay"] and round(window["mean_delay"], 2),
        "worst_delay": window["worst_delay"],
    }


load = (
    Pipeline("load")
    .source(
        connector="files",
        path=FLIGHTS,
        columns=dict.fromkeys(NUMBERS, "int"),
        null=["NA"],
        timestamp=scheduled,
    )
    .key_by("origin")
    .sink("flights", key="string", value=Plugin("avro", schema=SCHEMA), partitions=3, configs=KEEP)
)

delays = (
    Pipeline("delays")
    .source("flights", key="string", value=Plugin("avro", schema=SCHEMA))
    .key_by("origin")
    .window(Tumbling("1d"), grace="1h")
    .aggregate(
        flights=Count(),
        departed=Count("dep_delay"),
        mean_delay=Mean("dep_delay"),
        worst_delay=Max("dep_delay"),
    )
    .map(result)
    .sink(connector="sql", database=DATABASE, table="delays", key=["origin", "day"], name="sqlite")
    .sink("delays", key="string", value="json", configs=KEEP, name="topic")
)


def print_result(console: Console) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection:
        rows = connection.execute("SELECT day, origin, flights, mean_delay FROM delays ORDER BY day, origin").fetchall()
    origins = sorted({origin for _, origin, _, _ in rows})
    found = {(day, origin): (flights, mean) for day, origin, flights, mean in rows}
    table = Table("day", title="Mean departure delay in minutes (flights)", header_style="bold")
    for origin in origins:
        table.add_column(origin, justify="right")
    for day in sorted({day for day, _, _, _ in rows}):
        cells = [found[day, origin] for origin in origins]
        table.add_row(day, *(f"{mean:.1f} ({flights:,})" for flights, mean in cells))
    console.print(table)


def print_next_steps(console: Console) -> None:
    broker = f"mainstem broker --override log.dirs={BROKER_DATA}"
    consumer = "mainstem console-consumer --bootstrap-server localhost:9092 --topic delays --from-beginning"
    console.print("\n[bold]What to try next[/bold]")
    console.print(f"  serve the topics to every Kafka client:  {broker}", soft_wrap=True)
    console.print(f"  read the results, in another terminal:   {consumer}", soft_wrap=True)
    console.print(f"  change the windows and run it again:     {Path(__file__).resolve()}", soft_wrap=True)


if __name__ == "__main__":
    if not any(flag.startswith(("-h", "--help", "--broker", "--data")) for flag in sys.argv):
        shutil.rmtree(DATA, ignore_errors=True)  # every run of the demo starts from nothing
    run(load, delays, data=BROKER_DATA, once=True)
    out = Console(highlight=False)
    print_result(out)
    print_next_steps(out)
