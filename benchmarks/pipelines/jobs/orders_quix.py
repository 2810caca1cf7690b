"""The job in Quix Streams: totals in its RocksDB store. `changelog` keeps them in a topic too, `exactly-once` in transactions."""

import sys

from quixstreams import Application

bootstrap, source, sink, group, folder, variant = sys.argv[1:7]
app = Application(
    broker_address=bootstrap,
    consumer_group=group,
    auto_offset_reset="earliest",
    state_dir=folder,
    commit_interval=1.0,
    use_changelog_topics=variant != "memory",
    processing_guarantee="exactly-once" if variant == "exactly-once" else "at-least-once",
    loglevel="WARNING",
)


def add(order, state):
    total = state.get("total", 0) + order["amount"]
    state.set("total", total)
    return {"customer": order["customer"], "total": total, "at": order["at"]}


orders = app.topic(source, key_deserializer="str", value_deserializer="json")
totals = app.topic(sink, key_serializer="str", value_serializer="json")
app.dataframe(orders).filter(lambda order: order["paid"]).apply(add, stateful=True).to_topic(totals)
app.run()
