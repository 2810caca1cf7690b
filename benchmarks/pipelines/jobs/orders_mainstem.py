"""The job in mainstem: totals in a dict of the process (`memory`), or kept by the engine with a changelog topic (`changelog`),
which `exactly-once` writes in transactions with everything else."""

import sys
from collections import defaultdict

from mainstem import Pipeline, run

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


paid = Pipeline(group).source(source, key="string", value="json").filter(lambda order: order["paid"])
summed = paid.map(add) if variant == "memory" else paid.stateful_map(add_to, dict)
plan = summed.sink(sink, key="string", value="json")
run(plan, broker=broker, data=folder, exactly_once=variant == "exactly-once")
