"""Which broker URLs are ours. Imports nothing: Faust asks for every app, also those with another broker."""

from __future__ import annotations

EMBEDDED = "mainstem"
MEMORY = "memory"
REMOTE_PREFIX = "mainstem+"


def is_ours(scheme: str) -> bool:
    return scheme in (EMBEDDED, MEMORY) or scheme.startswith(REMOTE_PREFIX)
