"""What a run can be told, by arguments and by flags."""

from __future__ import annotations

import pytest

from mainstem.app.run_options import RunOptions, from_flags, parser
from mainstem.model.errors import ConfigError


def flags(*arguments: str) -> RunOptions:
    return from_flags(RunOptions(), "script.py", arguments)


def test_a_checkpoint_is_made_every_second_and_ten_times_as_often_if_results_wait_for_it():
    assert flags().effective_commit_interval_ms == 1000
    assert flags("--exactly-once").effective_commit_interval_ms == 100
    assert flags("--exactly-once", "--commit-interval-ms", "2500").effective_commit_interval_ms == 2500


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--commit-interval-ms", "0"], "commit-interval-ms"),
        (["--workers", "0"], "workers"),
        (["--metrics-port", "65536"], "metrics-port"),
        (["--comit-interval-ms", "5"], "--commit-interval-ms"),
    ],
)
def test_a_flag_that_cannot_be_is_named(arguments, named):
    with pytest.raises(ConfigError, match=named):
        flags(*arguments)


def test_folders_to_watch_without_reload_are_refused():
    with pytest.raises(ConfigError, match="reload-dir='models' is not valid: it says what --reload watches"):
        flags("--reload-dir", "models")
    assert [str(folder) for folder in flags("--reload", "--reload-dir", "a", "--reload-dir", "b").reload_dirs] == [
        "a",
        "b",
    ]


def test_help_shows_examples():
    assert "mainstem run SCRIPT --reload --reload-dir ../models" in parser("mainstem run SCRIPT").format_help()
