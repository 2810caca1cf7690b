"""7. Ask a service about each order, some calls at a time. It may fail: try three times, then set the order aside.

mainstem dlq list orders-dead --by-cause
mainstem dlq replay orders-dead
"""

from __future__ import annotations

import asyncio
from typing import Any

from mainstem import Dlq, Pipeline, Retry, run

PRICES = {"tea": 3, "coffee": 4}


async def look_up(order: dict[str, Any]) -> dict[str, Any]:
    """Stands for a call over the network."""
    await asyncio.sleep(0)
    return {**order, "price": PRICES[order["product"]]}


priced = (
    Pipeline("prices", on_error=Dlq("orders-dead"))
    .source("orders", value="json")
    .map(look_up, max_in_flight=20, on_error=Retry(3, backoff="50ms", then=Dlq("orders-dead")))
    .sink("priced-orders", value="json")
)

if __name__ == "__main__":
    run(priced)
