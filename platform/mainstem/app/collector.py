"""Python's garbage collector while pipelines run: it stops everything, and most of what it looks at was made at the start and
stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (50_000, 20, 50)
"""Records come and go by reference counts; what is left for the collector grows slowly."""


class _Inside:
    """Whoever is inside may leave in another order than they came: the last one puts back what the first one found."""

    count = 0
    before = gc.get_threshold()


@contextmanager
def settled_collector(*, collects: bool = True) -> Iterator[None]:
    """Once everything is open: what is there now is not looked at, and looks are rarer. Afterwards all is as it was, for the
    process may be somebody else's, such as a test runner's or a notebook's. `collects`: look once more before."""
    if not _Inside.count:
        _Inside.before = gc.get_threshold()
        if collects:
            gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
    _Inside.count += 1
    try:
        yield
    finally:
        _Inside.count -= 1
        if not _Inside.count:
            gc.set_threshold(*_Inside.before)
            gc.unfreeze()
