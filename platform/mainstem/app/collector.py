"""Python's garbage collector in a process that runs pipelines: it stops everything, and most of what it looks at was made at
the start and stays."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 50)
"""Records come and go by reference counts; what is left for the collector grows slowly."""


def settle_collector() -> None:
    """Once everything is open: what is there now is never looked at again, and looks are rarer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
