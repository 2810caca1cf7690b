"""The job in Bytewax: totals in memory, no recovery store. It has no consumer groups and commits nothing."""

import sys

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

bootstrap, source, sink = sys.argv[1:4]


def paid(message):
    order = orjson.loads(message.value)
    return (order["customer"], order) if order["paid"] else None


def add(total, order):
    total = (total or 0) + order["amount"]
    return total, {"customer": order["customer"], "total": total, "at": order["at"]}


def written(keyed):
    customer, total = keyed
    return KafkaSinkMessage(customer.encode(), orjson.dumps(total))


flow = Dataflow("orders")
orders = kafka.input("orders", flow, brokers=[bootstrap], topics=[source])
totals = op.stateful_map("add", op.filter_map("paid", orders.oks, paid), add)
kafka.output("totals", op.map("written", totals, written), brokers=[bootstrap], topic=sink)
cli_main(flow)
