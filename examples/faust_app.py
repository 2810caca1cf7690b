"""A Faust app without a Kafka: totals per customer in a table, and who spent more than 100 on a topic.

    faust -A examples.faust_app worker        # until Ctrl-C
    faust -A examples.faust_app send orders '{"customer": "kim", "price": 60}'

Nothing but the broker URL is not plain Faust. See docs/faust.md.
"""

from __future__ import annotations

from typing import Any

import faust


class Order(faust.Record, serializer="json"):
    customer: str
    price: float


app = faust.App("shop", broker="mainstem://", topic_partitions=4, web_enabled=False)
orders = app.topic("orders", value_type=Order)
good_customers = app.topic("good-customers", value_serializer="json")
totals = app.Table("totals", default=float, partitions=4)


@app.agent(orders)
async def add_up(stream: Any) -> None:
    async for order in stream.group_by(Order.customer):
        before = totals[order.customer]
        totals[order.customer] = before + order.price
        if before <= 100 < before + order.price:
            await good_customers.send(key=order.customer, value={"customer": order.customer})


@app.timer(1.0)
async def demo() -> None:
    """So that there is something to see: three customers buy something every second."""
    for customer in ("ada", "kim", "lee"):
        await orders.send(value=Order(customer, 40.0))
    print({customer: round(total, 2) for customer, total in sorted(totals.items())})


if __name__ == "__main__":
    app.main()
