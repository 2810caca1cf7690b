"""6. Trades with the quote that held when they were made, whichever of both came first."""

from __future__ import annotations

from typing import Any

from mainstem import Pipeline, run

quotes = Pipeline("priced").source("quotes", key="string", value="json", timestamp="at", name="quotes")


def priced(trade: dict[str, Any], quote: dict[str, Any] | None) -> dict[str, Any]:
    return {**trade, "price": quote["price"] if quote else None}


trades = (
    Pipeline("priced")
    .source("trades", key="string", value="json", timestamp="at", name="trades")
    .join_as_of(quotes, priced, within="1m", how="left")
    .sink("priced-trades", key="string", value="json")
)

if __name__ == "__main__":
    run(trades)
