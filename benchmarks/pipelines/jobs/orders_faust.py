"""The job in Faust on its own aiokafka driver: totals in a table in memory, with Faust's changelog topic."""

import sys

import faust

bootstrap, source, sink, group, folder = sys.argv[1:6]
sys.argv[1:] = ["worker", "--loglevel", "error", "--without-web"]
app = faust.App(
    group,
    broker=f"kafka://{bootstrap}",
    store="memory://",
    datadir=folder,
    topic_partitions=4,
    broker_commit_interval=1.0,
    consumer_auto_offset_reset="earliest",
)
orders = app.topic(source, key_type=str, value_serializer="json")
written = app.topic(sink, key_type=str, value_serializer="json")
totals = app.Table("totals", default=int, key_type=str, value_type=int)


@app.agent(orders)
async def add(stream):
    async for order in stream:
        if order["paid"]:
            customer = order["customer"]
            totals[customer] += order["amount"]
            await written.send(key=customer, value={"customer": customer, "total": totals[customer], "at": order["at"]})


app.main()
