"""Values as lines of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from mainstem.api.connector import Rejected


def rejected_or_lines(values: Sequence[Any]) -> tuple[Sequence[Rejected], bytes]:
    """Of a batch with a value that has no form in JSON nothing is written."""
    lines: list[bytes] = []
    try:
        lines.extend(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE) for value in values)
    except orjson.JSONEncodeError as error:
        return [Rejected(len(lines), f"it has no form in JSON: {error}")], b""
    return (), b"".join(lines)
