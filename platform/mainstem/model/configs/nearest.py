"""The suggestion in "unknown key" messages."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if nothing is close."""
    # Imported when something is already wrong: difflib costs a broker start 4 ms that it does not need.
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=1, cutoff=0.7)
    return matches[0] if matches else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean x?`, or nothing."""
    match = nearest(name, known)
    return f"; did you mean {match}?" if match else ""
