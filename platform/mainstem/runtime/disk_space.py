"""How large the disk below a log directory is, and how much of it is left."""

from __future__ import annotations

import shutil
from typing import NamedTuple


class DiskSpace(NamedTuple):
    """-1 where nobody knows."""

    total_bytes: int
    usable_bytes: int


UNKNOWN_SPACE = DiskSpace(-1, -1)


def disk_space(place: str) -> DiskSpace:
    """Blocking."""
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        return UNKNOWN_SPACE
    return DiskSpace(usage.total, usage.free)
