"""Times in the patterns of Java's SimpleDateFormat, as far as tools print them."""

from __future__ import annotations

import re
from datetime import datetime

from mainstem.model.errors import ConfigError

_TOKEN = re.compile(r"'((?:[^']|'')*)'|(y+|M+|d+|H+|m+|s+|S+)|([A-Za-z])|([^A-Za-z']+)")


def java_date(pattern: str, when: datetime) -> str:
    """`yyyy-MM-dd HH:mm:ss:SSS` → `2026-01-31 12:00:00:000`. Raises: ConfigError for a letter that is not known here."""
    parts = {
        "y": lambda size: f"{when.year % 100:02}" if size == 2 else f"{when.year:0{size}}",
        "M": lambda size: when.strftime("%B" if size > 3 else "%b") if size > 2 else f"{when.month:0{size}}",
        "d": lambda size: f"{when.day:0{size}}",
        "H": lambda size: f"{when.hour:0{size}}",
        "m": lambda size: f"{when.minute:0{size}}",
        "s": lambda size: f"{when.second:0{size}}",
        "S": lambda size: f"{when.microsecond // 1000:0{size}}",
    }
    found = []
    for match in _TOKEN.finditer(pattern):
        quoted, run, unknown, literal = match.groups()
        if unknown is not None:
            raise ConfigError("--date-format", pattern, f"the letter {unknown} is not known; y M d H m s S are")
        if run is not None:
            found.append(parts[run[0]](len(run)))
        else:
            found.append(literal if literal is not None else quoted.replace("''", "'") or "'")
    return "".join(found)
