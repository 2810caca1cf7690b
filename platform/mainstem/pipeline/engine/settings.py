"""What a run of a pipeline can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mainstem.api.state import StateSpec
from mainstem.pipeline.engine.worker import EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """`once`: read what is there now and end, also where more could come. `batch_records`: at most so many at a time.

    `transactional_id` is this worker's own, the same from one start to the next, so that a transaction which a crash left
    open is ended at once. `state`: on disk below `state_folder`, one folder per pipeline, section and task; None: in memory,
    and then an orderly end leaves snapshots of it below `snapshot_folder`. `seed` makes owners' numbers repeatable, for
    simulations.
    """

    once: bool = False
    exactly_once: bool = False
    transactional_id: str | None = None
    batch_records: int = 5_000
    seed: int | None = None
    state: StateSpec | None = None
    state_folder: Path = Path("state")
    snapshot_folder: Path | None = None
    engine: EngineSettings = field(default_factory=EngineSettings)
