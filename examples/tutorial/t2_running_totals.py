"""2. A running total of each customer: `key_by` brings the orders of one customer together, `aggregate` keeps the state.

Stop it and start it again: the totals go on where they were. Kill it: they still do.
"""

from __future__ import annotations

from mainstem import Count, Max, Pipeline, Sum, run

totals = (
    Pipeline("totals")
    .source("orders", value="json")
    .key_by("customer")
    .aggregate(orders=Count(), total=Sum("amount"), largest=Max("amount"))
    .sink("totals", key="string", value="json")
)

if __name__ == "__main__":
    run(totals, exactly_once=True)
