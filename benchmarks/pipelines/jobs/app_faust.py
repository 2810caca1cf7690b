"""A Faust app as its users write it, on the broker that its URL names: the job, an agent that does nothing, or a table that is
recovered.

It says on standard output when it has worked through the warm-up and when it is done: everything written, in the case of the
job; for the table, when its partitions came and when it was recovered. On `memory://` it writes its orders itself, and its
agent waits until all of them are there.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import faust

url, source, sink, group, folder, variant, warm_up, count = sys.argv[1:9]
sys.argv[1:] = ["worker", "--loglevel", "error", "--without-web"]
WARM_UP, COUNT = int(warm_up), int(count)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
app = faust.App(
    group,
    broker=url,
    store="memory://",
    datadir=folder,
    topic_partitions=4,
    broker_commit_interval=1.0,
    consumer_auto_offset_reset="earliest",
)
orders = app.topic(source, key_type=str, value_serializer="json", partitions=4)
written = app.topic(sink, key_type=str, value_serializer="json")
loaded = asyncio.Event()
MOMENTS = {WARM_UP: "warm", COUNT: "done"}


async def say(moment, last):
    if last is not None:
        await last
    os.write(1, f"{moment} {time.time()}\n".encode())  # Faust has taken sys.stdout for its log


if variant == "nothing":

    @app.agent(orders)
    async def nothing(stream):
        await loaded.wait()
        seen = 0
        async for _ in stream:
            seen += 1
            if seen in MOMENTS:
                await say(MOMENTS[seen], None)

elif variant == "table":
    totals = app.Table("totals", default=int, key_type=str, value_type=int)

    @app.on_partitions_assigned.connect
    async def came(app, assigned, **kwargs):
        await say("warm", None)

    @totals.on_recover
    async def recovered():
        if len(totals) == COUNT:
            await say("done", None)

    @app.agent(orders)
    async def reads(stream):
        async for _ in stream:
            pass

else:
    totals = app.Table("totals", default=int, key_type=str, value_type=int)

    @app.agent(orders)
    async def add(stream):
        await loaded.wait()
        seen, sent = 0, None
        async for order in stream:
            seen += 1
            if order["paid"]:
                customer = order["customer"]
                totals[customer] += order["amount"]
                value = {"customer": customer, "total": totals[customer], "at": order["at"]}
                sent = await written.send(key=customer, value=value)
            if seen in MOMENTS:
                await say(MOMENTS[seen], sent)


@app.task
async def load():
    if url.startswith("memory://"):
        from orders import orders as made

        for number, (key, value, partition) in enumerate(made(COUNT)):
            await orders.send(key=key, value=value, key_serializer="raw", value_serializer="raw", partition=partition)
            if number % 1_000 == 0:
                await asyncio.sleep(0)
    loaded.set()


app.main()
