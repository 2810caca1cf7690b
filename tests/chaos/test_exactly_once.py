"""A few runs of what `make chaos` does by the hundred."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import exactly_once


@pytest.mark.parametrize("seed", [1, 4])
def test_every_record_is_copied_exactly_once(seed: int, tmp_path: Path) -> None:
    report = exactly_once.run(seed, tmp_path)
    assert report.broker_kills + report.worker_kills >= 1


def test_the_checker_finds_what_is_lost_and_what_is_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    for copied in ([b"seen 0"], [b"seen 0", b"seen 1", b"seen 1"], [b"seen 0", b"seen 1", b"seen 2"]):
        monkeypatch.setattr(exactly_once, "read_committed", lambda bootstrap, copied=copied: copied)
        with pytest.raises(exactly_once.NotExactlyOnce):
            exactly_once.check("nowhere", 2)
    monkeypatch.setattr(exactly_once, "read_committed", lambda bootstrap: [b"seen 1", b"seen 0"])
    exactly_once.check("nowhere", 2)
