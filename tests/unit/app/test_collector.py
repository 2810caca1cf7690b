"""The garbage collector is as it was when a run is over."""

from __future__ import annotations

import gc

from mainstem.app.collector import THRESHOLDS, settled_collector


def test_a_process_gets_its_collector_back():
    before = gc.get_threshold()
    with settled_collector():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_the_last_one_inside_puts_back_what_the_first_one_found():
    before = gc.get_threshold()
    first, second = settled_collector(), settled_collector(collects=False)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold() == THRESHOLDS
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
