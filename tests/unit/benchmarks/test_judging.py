"""Which cells are chosen, how rounds become medians, and what is called pass or miss."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import picture
import pytest
import report
import soak
from bars import Bar, rows_of
from cells import Cell, all_cells, default_cells, select_cells
from exchange import Tally, percentile
from measurements import Measurement, Medians, Results, median


def measured(cell: Cell, subject: str, round_number: int = 0, **figures: float) -> Measurement:
    return Measurement(cell=cell.name, subject=subject, round_number=round_number, figures=figures)


def test_names_of_cells_differ() -> None:
    names = [cell.name for cell in all_cells()]
    assert len(set(names)) == len(names)
    assert {cell.name for cell in default_cells()} <= set(names)


def test_patterns_select_by_part_of_the_name_and_by_wildcards() -> None:
    assert select_cells([]) == default_cells()
    assert select_cells([], full=True) == all_cells()
    names = [cell.name for cell in select_cells(["fetch/64KiB", "produce/500x*v7"])]
    assert names == [
        "fetch/64KiB/connections=1/v11",
        "fetch/64KiB/connections=1/v18",
        "fetch/64KiB/connections=4/v11",
        "fetch/64KiB/connections=4/v18",
        "produce/500x1kB/inflight=5/connections=1/acks=1/v7",
    ]


def test_a_pattern_finds_cells_outside_the_default_ones() -> None:
    assert [cell.connections for cell in select_cells(["fetch/1MiB/connections=64/v18"])] == [64]


def test_a_whole_name_selects_only_its_cell() -> None:
    assert [cell.kind for cell in select_cells(["start"])] == ["start"]
    assert [cell.kind for cell in select_cells(["star"])] == ["start", "restart"]


def test_a_pattern_that_selects_nothing_lists_what_there_is() -> None:
    with pytest.raises(ValueError, match="produce/1x1kB"):
        select_cells(["produce/7x1kB"])


@pytest.mark.parametrize(
    ("name", "bars"),
    [
        ("produce/1x1kB/inflight=1/connections=1/acks=1/v13", [">= 2x"]),
        ("produce/1x1kB/inflight=100/connections=4/acks=1/v7", [">= 3x", "p99 <="]),
        ("produce/1x1kB/inflight=1/connections=64/acks=1/v13", [">= 1.2x"]),
        ("produce/16x1kB/inflight=5/connections=4/acks=1/v13", [">= 1.7x", "p99 <="]),
        ("produce/500x1kB/inflight=5/connections=1/acks=1/v13", [">= 1.2x", "p99 <="]),
        ("produce/1x1kB/inflight=1/connections=1/acks=all/v13", ["p50 <= + fdatasync"]),
        ("produce/1x1kB/inflight=5/connections=1/acks=all/v7", [">= 1x", "p99 <="]),
        ("fetch/64KiB/connections=4/v18", [">= 3x"]),
        ("fetch/1MiB/connections=1/v11", [">= 1.2x"]),
        ("end-to-end/1000 records per s/acks=1/v13", ["p99 <="]),
        ("start", ["<= 0.4 s", ">= 10x", "<= 80 MB"]),
    ],
)
def test_each_default_cell_has_the_bars_of_the_issue(name: str, bars: list[str]) -> None:
    (cell,) = (each for each in default_cells() if each.name == name)
    assert [bar.text for row in rows_of(cell) for bar in row.bars] == bars


def test_medians_are_of_each_figure_over_the_rounds() -> None:
    cell = Cell(kind="produce")
    rounds = [measured(cell, "kafka", index, p50_ms=value) for index, value in enumerate((3.0, 1.0, 9.0))]
    assert Medians(rounds).figure(cell.name, "kafka", "p50_ms") == 3.0
    assert Medians(rounds).figure(cell.name, "mainstem", "p50_ms") is None
    assert median([4.0, 2.0]) == 3.0


@pytest.mark.parametrize(
    ("bar", "left", "right", "expected"),
    [
        (Bar(figure="p99_ms", times=1, more_is_better=False), 5.0, 5.0, True),
        (Bar(figure="p99_ms", times=1, more_is_better=False), 5.1, 5.0, False),
        (Bar(figure="p99_ms", times=10, more_is_better=False), 0.4, 5.0, True),
        (Bar(figure="p99_ms", times=3), 30.0, 10.0, True),
        (Bar(figure="p99_ms", times=3), 29.0, 10.0, False),
        (Bar(figure="p99_ms", times=3), 29.0, None, None),
        (Bar(figure="p99_ms", at_most=80), 80.0, None, True),
        (Bar(figure="p99_ms", at_most=80), 81.0, None, False),
        (Bar(figure="p99_ms", with_sync=True), 1.4, 1.0, True),
        (Bar(figure="p99_ms", with_sync=True), 1.6, 1.0, False),
    ],
)
def test_bars(bar: Bar, left: float, right: float | None, expected: bool | None) -> None:
    cell = Cell(kind="produce")
    measurements = [measured(cell, "mainstem", p99_ms=left), measured(Cell(kind="fdatasync"), "disk", p50_ms=0.5)]
    if right is not None:
        measurements.append(measured(cell, "kafka", p99_ms=right))
    assert bar.passes(Medians(measurements), cell.name) is expected


def test_requests_answered_together_weigh_as_many() -> None:
    tally = Tally()
    tally.add(9.0, 1, 1, 1)
    tally.counting = True
    tally.add(0.002, 3, 3, 3)
    tally.add(0.001, 1, 1, 1)
    assert (tally.requests, tally.latencies_ms()) == (4, [1.0, 2.0, 2.0, 2.0])
    assert [percentile([1, 2, 3, 4], each) for each in (0.0, 0.5, 0.99, 1.0)] == [1, 3, 4, 4]


def test_results_are_kept_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "results" / "measured.json"
    cell = Cell(kind="produce")
    Results(path).add(measured(cell, "mainstem", requests_per_s=1.0))
    again = Results(path)
    assert again.has(cell.name, "mainstem", 0)
    assert not again.has(cell.name, "mainstem", 1)
    assert again.other_commits == []
    again.forget({cell.name}, {"kafka"})
    assert again.has(cell.name, "mainstem", 0)
    again.forget({cell.name}, {"mainstem"})
    assert again.measurements == []
    kept = json.loads(path.read_text())
    kept["measurements"][0]["commit"] = "abc"
    path.write_text(json.dumps(kept))
    assert Results(path).other_commits == ["abc"]


def test_table_document_and_picture_show_what_was_measured() -> None:
    cell = Cell(kind="produce", in_flight=100, connections=4)
    measurements = [
        measured(cell, "mainstem", requests_per_s=30_000.0, p50_ms=1.0, p99_ms=3.0),
        measured(cell, "kafka", requests_per_s=10_000.0, p50_ms=2.0, p99_ms=2.0),
    ]
    text = report.markdown(measurements, [cell], ["two cores"])
    assert "| 30,000 req/s | 10,000 req/s | 3.00x | >= 3x, p99 <= | MISS p99 <= | 1.00 / 2.00 | 3.00 / 2.00 |" in text
    assert report.table(measurements, [cell]).row_count == 2
    assert report.verdicts(measurements, [cell]) == (1, [f"{cell.name}: p99 <="])
    assert "3.00×" in picture.draw(measurements)


@pytest.mark.parametrize(
    ("name", "bars"),
    [
        ("growth/10,000 partitions", ["<= 5 s", "<= 500 MB", "<= 1 of the limit"]),
        ("growth/100 partitions", []),
        ("growth/2,000 open connections", ["<= 100 MB"]),
        ("client/confluent-kafka", [">= 1x", ">= 1x"]),
        ("client/kafka perf tools", [">= 1x", "p99 <=", ">= 1x"]),
    ],
)
def test_growth_and_clients_have_the_bars_of_the_issue(name: str, bars: list[str]) -> None:
    test_each_default_cell_has_the_bars_of_the_issue(name, bars)


def test_what_mainstem_could_not_do_is_missed_and_said() -> None:
    cell = Cell(kind="partitions", count=10_000)
    failed = Measurement(cell=cell.name, subject="mainstem", round_number=0, note="> 120 s")
    passed, missed = report.verdicts([failed], [cell])
    assert (passed, len(missed)) == (0, 3)
    assert "| > 120 s |" in report.markdown([failed], [cell], [])


def test_soak_compares_the_end_with_the_second_minute() -> None:
    def sample(at_s: float, megabytes: float) -> SimpleNamespace:
        return SimpleNamespace(at_s=at_s, resident_megabytes=megabytes)

    samples = [sample(at_s, 40 + (at_s > 60) * 10 + (at_s > 570) * 2) for at_s in range(0, 600, 2)]
    assert soak.settled(samples, 600) == (50, 52)
