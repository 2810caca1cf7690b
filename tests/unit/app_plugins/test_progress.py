"""What people see of a run: bars on a terminal, lines elsewhere, a table at the end."""

from __future__ import annotations

import io

from mainstem.app.progress import Progress, print_summaries
from mainstem.pipeline.engine.counters import PipelineCounters
from mainstem.pipeline.engine.engine import Summary


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def counters(read: int, total: int | None) -> PipelineCounters:
    made = PipelineCounters("load")
    made.source_stages = ["source"]
    made.stage("source").count("split", read, read)
    made.records_total = total
    return made


def test_elsewhere_a_line_comes_now_and_then_and_only_when_something_moved():
    out, one = io.StringIO(), counters(1_200, 27_004)
    with Progress([one], out) as progress:
        progress._display.show()
        progress._display.show()
        one.stage("source").count("split", 800, 800)
        one.records_total = None
        progress._display.show()
    assert out.getvalue() == "load: 1,200 of 27,004 records read\nload: 2,000 records read\n"


def test_a_bar_shows_how_many_of_how_many(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    out = Terminal()
    with Progress([counters(1_200, 27_004)], out) as progress:
        progress._display.show()
    assert "load" in out.getvalue()
    assert "1,200 of 27,004 records" in out.getvalue()


def test_an_estimate_that_was_too_small_does_not_show_more_than_all(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    out = Terminal()
    with Progress([counters(1_200, 1_000)], out) as progress:
        progress._display.show()
    assert "1,200 of 1,200 records" in out.getvalue()


def test_the_summary_has_a_row_per_pipeline():
    out = io.StringIO()
    summaries = [
        Summary(
            pipeline="load", records_read=27_004, written={"sink": 27_004}, late=0, elapsed_ms=500, is_finished=True
        ),
        Summary(pipeline="idle", records_read=0, written={"a": 0, "b": 0}, late=3, elapsed_ms=0, is_finished=False),
    ]
    print_summaries(summaries, out)
    rows = [line.split() for line in out.getvalue().splitlines()]
    assert rows[0] == ["pipeline", "read", "written", "late", "seconds", "records/s"]
    assert rows[1] == ["load", "27,004", "27,004", "to", "sink", "0", "0.5", "54,008", "finished"]
    assert rows[2] == ["idle", "0", "0", "to", "a,", "0", "to", "b", "3", "0.0", "–", "stopped"]
