"""1. Read a topic, keep some records, change them, write another topic.

Start it:      python t1_first_pipeline.py
Give it work:  mainstem console-producer --topic orders     (then a line such as {"customer": "ann", "amount": 120})
See results:   mainstem console-consumer --topic large-orders --from-beginning
"""

from __future__ import annotations

from typing import Any

from mainstem import Pipeline, run


def with_tax(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "total": round(order["amount"] * 1.2, 2)}


large_orders = (
    Pipeline("large-orders")
    .source("orders", value="json")
    .filter(lambda order: order["amount"] >= 100)
    .map(with_tax)
    .sink("large-orders", value="json")
)

if __name__ == "__main__":
    run(large_orders)
