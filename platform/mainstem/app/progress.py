"""How far pipelines are, for people: bars on a terminal, a line now and then elsewhere, and a table at the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import IO, Protocol

import msgspec

from mainstem.app.telling import log_event
from mainstem.pipeline.engine.counters import PipelineCounters
from mainstem.pipeline.engine.engine import Summary
from mainstem.telemetry.logs import is_json

REFRESH_S = 0.1
LINE_EVERY_S = 5.0


class Display(Protocol):
    def show(self) -> None: ...

    def close(self) -> None: ...


class Progress(AbstractContextManager["Progress"]):
    """Reads the counters of running pipelines and shows them on standard error."""

    def __init__(self, pipelines: Sequence[PipelineCounters], out: IO[str] | None = None) -> None:
        out = out or sys.stderr
        self._is_terminal = out.isatty()
        self._display: Display = _Bars(pipelines, out) if self._is_terminal else _Lines(pipelines, out)

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S if self._is_terminal else LINE_EVERY_S)
            self._display.show()

    def __exit__(self, *error: object) -> None:
        self._display.close()


class _Bars:
    def __init__(self, pipelines: Sequence[PipelineCounters], out: IO[str]) -> None:
        from rich import progress
        from rich.console import Console

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[records]}", justify="right"),
            progress.TextColumn("{task.fields[rate]}", justify="right", style="dim"),
            progress.TimeRemainingColumn(),
            console=Console(file=out),
            auto_refresh=False,
        )
        self._pipelines = pipelines
        self._tasks = [
            self._progress.add_task(one.pipeline, total=None, records="", rate="", start=False) for one in pipelines
        ]
        self._progress.start()

    def show(self) -> None:
        for task, one in zip(self._tasks, self._pipelines, strict=True):
            read, total = one.records_read, one.records_total
            if read and not self._progress.tasks[task].started:
                self._progress.start_task(task)
            elapsed_s = self._progress.tasks[task].elapsed or 0
            self._progress.update(
                task,
                completed=read,
                total=None if total is None else max(total, read),
                records=f"{read:,} records" if total is None else f"{read:,} of {max(total, read):,} records",
                rate=f"{read / elapsed_s:,.0f}/s" if elapsed_s else "",
            )
        self._progress.refresh()

    def close(self) -> None:
        self.show()
        self._progress.stop()


class _Lines:
    def __init__(self, pipelines: Sequence[PipelineCounters], out: IO[str]) -> None:
        self._pipelines = pipelines
        self._out = out
        self._told: dict[str, int] = {}

    def show(self) -> None:
        for one in self._pipelines:
            read, total = one.records_read, one.records_total
            if read != self._told.get(one.pipeline, 0):
                self._told[one.pipeline] = read
                of = "" if total is None else f" of {max(total, read):,}"
                self._out.write(f"{one.pipeline}: {read:,}{of} records read\n")
        self._out.flush()

    def close(self) -> None:
        pass  # the table that follows says the rest


def tell_summaries(summaries: Sequence[Summary]) -> None:
    """A table, or an event for each pipeline."""
    if not is_json():
        print_summaries(summaries)
        return
    for one in summaries:
        log_event("run.ended", **msgspec.structs.asdict(one))


def print_summaries(summaries: Sequence[Summary], out: IO[str] | None = None) -> None:
    """One row per pipeline."""
    from rich.console import Console
    from rich.table import Table

    table = Table("pipeline", box=None, header_style="bold", pad_edge=False)
    for head in ("read", "written", "late", "seconds", "records/s"):
        table.add_column(head, justify="right")
    table.add_column("")
    for one in summaries:
        seconds = one.elapsed_ms / 1000
        written = ", ".join(f"{count:,} to {sink}" for sink, count in one.written.items())
        table.add_row(
            one.pipeline,
            f"{one.records_read:,}",
            written,
            f"{one.late:,}",
            f"{seconds:,.1f}",
            f"{one.records_read / seconds:,.0f}" if seconds else "–",
            "finished" if one.is_finished else "stopped",
        )
    out = out or sys.stderr
    Console(file=out, width=None if out.isatty() else 120, highlight=False).print(table)
