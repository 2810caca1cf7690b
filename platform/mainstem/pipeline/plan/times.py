"""Event times as people read them."""

from __future__ import annotations

import datetime


def time_text(time_ms: int) -> str:
    """ISO 8601 in UTC; the number itself where a calendar has no such time."""
    try:
        moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"
    return moment.isoformat(timespec="seconds" if time_ms % 1000 == 0 else "milliseconds").replace("+00:00", "Z")
