"""What a running pipeline can report. Stages add to plain integers per batch; whoever exports reads them
when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mainstem.api.sensor import Metric, Sample, Sensor

LABELS = ("pipeline", "stage", "split")
TELLABLE_MS = 1 << 60
RECORDS_IN = Metric(
    name="mainstem_pipeline_records_in_total",
    kind="counter",
    help="Records that entered a stage.",
    labels=LABELS,
)
RECORDS_OUT = Metric(
    name="mainstem_pipeline_records_out_total",
    kind="counter",
    help="Records that left a stage; at a sink, those written.",
    labels=LABELS,
)
LATE = Metric(
    name="mainstem_pipeline_late_records_total",
    kind="counter",
    help="Records dropped because their window had been closed.",
    labels=LABELS,
)
RETRIES = Metric(
    name="mainstem_pipeline_retries_total",
    kind="counter",
    help="Records that a stage tried again.",
    labels=LABELS,
)
SKIPPED = Metric(
    name="mainstem_pipeline_skipped_records_total",
    kind="counter",
    help="Records that were dropped by Skip after a stage had failed at them.",
    labels=LABELS,
)
DEAD_LETTERS = Metric(
    name="mainstem_pipeline_dead_letters_total",
    kind="counter",
    help="Records that were written to a topic of dead letters.",
    labels=LABELS,
)
LAG = Metric(
    name="mainstem_pipeline_lag_records",
    kind="gauge",
    help="Records of a split that were not read yet.",
    labels=LABELS,
)
WATERMARK = Metric(
    name="mainstem_pipeline_watermark_seconds",
    kind="gauge",
    help="Event time up to which all tasks with state have come, in seconds since 1970.",
    labels=LABELS,
)
STATE_ENTRIES = Metric(
    name="mainstem_pipeline_state_entries",
    kind="gauge",
    help="Entries of a step's state in memory, such as open windows times keys; as of the last checkpoint.",
    labels=LABELS,
)
RESTORING = Metric(
    name="mainstem_pipeline_restoring_records",
    kind="gauge",
    help="Records of changelogs that must still be read before waiting tasks can begin.",
    labels=LABELS,
)
COMMITS = Metric(
    name="mainstem_pipeline_commits_total",
    kind="counter",
    help="Times that the position of the source was committed, after every sink had flushed.",
    labels=LABELS,
)


class StageCounters:
    """One stage. The keys of the dicts are splits; `""` where records of several splits have been brought
    together.
    """

    __slots__ = ("dead_letters", "late", "name", "records_in", "records_out", "retries", "skipped")

    def __init__(self, name: str) -> None:
        self.name = name
        self.records_in: dict[str, int] = {}
        self.records_out: dict[str, int] = {}
        self.late: dict[str, int] = {}
        self.retries = self.skipped = self.dead_letters = 0

    def count(self, split: str, records_in: int, records_out: int) -> None:
        self.records_in[split] = self.records_in.get(split, 0) + records_in
        self.records_out[split] = self.records_out.get(split, 0) + records_out

    @property
    def total_in(self) -> int:
        return sum(self.records_in.values())

    @property
    def total_out(self) -> int:
        return sum(self.records_out.values())

    @property
    def total_late(self) -> int:
        return sum(self.late.values())


class PipelineCounters:
    """All of one pipeline. `records_total` is how many a bounded source has, as far as known, for progress
    bars.
    """

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        self.stages: dict[str, StageCounters] = {}
        self.source_stages: list[str] = []
        self.records_total: int | None = None
        self.lag: dict[str, int] = {}
        self.watermark_ms: int | None = None
        self.state_entries: dict[str, int] = {}
        self.restoring = 0
        self.commits = 0

    def stage(self, name: str) -> StageCounters:
        return self.stages.setdefault(name, StageCounters(name))

    def see_watermark(self, watermark_ms: int | None) -> None:
        """Before the first record and after the last one there is none to tell."""
        if watermark_ms is not None and -TELLABLE_MS < watermark_ms < TELLABLE_MS:
            self.watermark_ms = watermark_ms

    @property
    def late(self) -> int:
        return sum(stage.total_late for stage in self.stages.values())

    @property
    def records_read(self) -> int:
        return sum(self.stages[name].total_out for name in self.source_stages if name in self.stages)


def register(sensor: Sensor, pipelines: Sequence[PipelineCounters]) -> None:
    """Make everything readable for whoever exports metrics; called once with all pipelines of the process."""
    sensor.register(RECORDS_IN, lambda: _per_split(pipelines, lambda stage: stage.records_in))
    sensor.register(RECORDS_OUT, lambda: _per_split(pipelines, lambda stage: stage.records_out))
    sensor.register(LATE, lambda: _per_split(pipelines, lambda stage: stage.late))
    sensor.register(RETRIES, lambda: _per_stage(pipelines, lambda stage: stage.retries))
    sensor.register(SKIPPED, lambda: _per_stage(pipelines, lambda stage: stage.skipped))
    sensor.register(DEAD_LETTERS, lambda: _per_stage(pipelines, lambda stage: stage.dead_letters))
    sensor.register(LAG, lambda: _lag(pipelines))
    sensor.register(WATERMARK, lambda: _watermarks(pipelines))
    sensor.register(STATE_ENTRIES, lambda: _state_entries(pipelines))
    sensor.register(RESTORING, lambda: [Sample((one.pipeline, "", ""), one.restoring) for one in pipelines])
    sensor.register(COMMITS, lambda: [Sample((one.pipeline, "", ""), one.commits) for one in pipelines])


def _per_split(
    pipelines: Sequence[PipelineCounters], of: Callable[[StageCounters], dict[str, int]]
) -> Iterable[Sample]:
    return [
        Sample((one.pipeline, stage.name, split), count)
        for one in pipelines
        for stage in one.stages.values()
        for split, count in of(stage).items()
    ]


def _per_stage(pipelines: Sequence[PipelineCounters], of: Callable[[StageCounters], int]) -> Iterable[Sample]:
    return [Sample((one.pipeline, stage.name, ""), of(stage)) for one in pipelines for stage in one.stages.values()]


def _lag(pipelines: Sequence[PipelineCounters]) -> Iterable[Sample]:
    return [Sample((one.pipeline, "", split), lag) for one in pipelines for split, lag in one.lag.items()]


def _watermarks(pipelines: Sequence[PipelineCounters]) -> Iterable[Sample]:
    return [
        Sample((one.pipeline, "", ""), one.watermark_ms / 1000) for one in pipelines if one.watermark_ms is not None
    ]


def _state_entries(pipelines: Sequence[PipelineCounters]) -> Iterable[Sample]:
    return [Sample((one.pipeline, stage, ""), count) for one in pipelines for stage, count in one.state_entries.items()]
