"""3. Orders per minute and product, by the time in the record.

What comes later than 10 s after its minute goes to a topic of its own.
"""

from __future__ import annotations

from mainstem import Count, Mean, Pipeline, Tumbling, run

per_minute = (
    Pipeline("per-minute")
    .source("orders", value="json", timestamp="at")
    .key_by("product")
    .window(Tumbling("1m"), grace="10s", late=lambda orders: orders.sink("late-orders", value="json"))
    .aggregate(orders=Count(), mean_amount=Mean("amount"))
    .sink("orders-per-minute", key="string", value="json")
)

if __name__ == "__main__":
    run(per_minute)
