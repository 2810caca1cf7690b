"""9. One stream, several ways: payments by their kind, each with its own steps, and a copy of all of them for the archive."""

from __future__ import annotations

from mainstem import Pipeline, Sum, run

payments = (
    Pipeline("payments")
    .source("payments", value="json")
    .also(lambda everything: everything.sink("archive", value="json", name="archive"))
)
cards, transfers = payments.branch(
    cards=lambda payment: payment["kind"] == "card",
    transfers=lambda payment: payment["kind"] == "transfer",
)
card_totals = cards.key_by("customer").aggregate(total=Sum("amount")).sink("card-totals", key="string", value="json")
large_transfers = transfers.filter(lambda payment: payment["amount"] > 1_000).sink("large-transfers", value="json")

if __name__ == "__main__":
    run(card_totals, large_transfers)
