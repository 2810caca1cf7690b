"""Python's garbage collector while pipelines run: it stops everything, and most of what it looks at was made at the start and
stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (50_000, 20, 50)
"""Records come and go by reference counts; what is left for the collector grows slowly."""


@contextmanager
def settled_collector() -> Iterator[None]:
    """Once everything is open: what is there now is not looked at, and looks are rarer. Afterwards all is as it was, for the
    process may be somebody else's, such as a test runner's or a notebook's."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
