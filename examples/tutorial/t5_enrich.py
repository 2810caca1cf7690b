"""5. Orders with the name of their customer: a topic of customers becomes a table, and each order looks into it.

The table follows the topic; a customer without value is deleted. Both topics need the same number of partitions.
"""

from __future__ import annotations

from typing import Any

from mainstem import Pipeline, run

customers = Pipeline("enrich").table("customers", key="string", value="json")


def with_name(order: dict[str, Any], customer: dict[str, Any] | None) -> dict[str, Any]:
    return {**order, "name": customer["name"] if customer else None}


enriched = (
    Pipeline("enrich")
    .source("orders", key="string", value="json", name="orders")
    .join(customers, with_name, how="left")
    .sink("enriched-orders", key="string", value="json")
)

if __name__ == "__main__":
    run(enriched)
