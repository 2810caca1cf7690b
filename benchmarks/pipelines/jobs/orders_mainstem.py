"""The job in mainstem: totals in a dict of the process (`memory`), or kept by the engine with a changelog topic (`changelog`),
which `exactly-once` writes in transactions with everything else; `windows` gives the mean of each window instead."""

import sys
from collections import defaultdict

from mainstem import Mean, Pipeline, Tumbling, run

broker, source, sink, group, folder, variant = sys.argv[1:7]
del sys.argv[1:]
totals: dict[str, int] = defaultdict(int)


def add(order):
    customer = order["customer"]
    totals[customer] += order["amount"]
    return {"customer": customer, "total": totals[customer], "at": order["at"]}


def add_to(order, state):
    state["total"] = total = state.get("total", 0) + order["amount"]
    return {"customer": order["customer"], "total": total, "at": order["at"]}


def source_of(plan):
    if variant == "windows":  # their time is the number of the order
        return plan.source(source, key="string", value="json", timestamp="id")
    return plan.source(source, key="string", value="json")


paid = source_of(Pipeline(group)).filter(lambda order: order["paid"])
if variant == "memory":
    results = paid.map(add)
elif variant == "windows":
    results = paid.key_by("customer", moves=False).window(Tumbling("10s")).aggregate(mean=Mean("amount"))
else:
    results = paid.stateful_map(add_to, dict)
plan = results.sink(sink, key="string", value="json")
run(plan, broker=broker, data=folder, exactly_once=variant == "exactly-once")
