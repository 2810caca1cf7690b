"""What has been measured, kept in a file after every measurement so that a run can go on where it was."""

import json
import os
import platform
import subprocess
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """What a measurement showed, and in a few words why it did not show everything."""

    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(kw_only=True)
class Measurement:
    """One cell on one broker once."""

    cell: str
    subject: str
    round_number: int
    figures: dict[str, float] = field(default_factory=dict)
    """By name with its unit: requests_per_s, megabytes_per_s, p50_ms, p99_ms, broker_cores, generator_cores, ..."""
    note: str = ""
    """Why there are no figures, or not all of them."""
    took_s: float = 0.0
    """With everything around it."""
    commit: str = ""
    """The commit of mainstem that was measured."""


class Medians:
    """By cell and broker, the median over the rounds of each figure."""

    def __init__(self, measurements: list[Measurement]) -> None:
        values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._notes: dict[tuple[str, str], str] = {}
        for measurement in measurements:
            key = measurement.cell, measurement.subject
            for name, value in measurement.figures.items():
                values[key][name].append(value)
            if measurement.note:
                self._notes[key] = measurement.note
        self._figures = {key: {name: median(each) for name, each in figures.items()} for key, figures in values.items()}

    def figure(self, cell: str, subject: str, name: str) -> float | None:
        return self._figures.get((cell, subject), {}).get(name)

    def note(self, cell: str, subject: str) -> str:
        return self._notes.get((cell, subject), "")


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


class Results:
    """All measurements of this machine, old and new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commit = current_commit()
        self.measurements: list[Measurement] = []
        if path.exists():
            kept = json.loads(path.read_text())
            self.measurements = [Measurement(**each) for each in kept["measurements"]]

    def forget(self, cells: set[str], subjects: set[str]) -> None:
        """Measure these cells on these brokers anew."""
        self.measurements = [
            each for each in self.measurements if each.cell not in cells or each.subject not in subjects
        ]

    @property
    def commits(self) -> list[str]:
        """The commits of mainstem that results are kept of."""
        return sorted({each.commit for each in self.measurements if each.subject == "mainstem"})

    @property
    def other_commits(self) -> list[str]:
        """Those of them that are not this one."""
        return [commit for commit in self.commits if commit != self._commit]

    def has(self, cell: str, subject: str, round_number: int) -> bool:
        wanted = (cell, subject, round_number)
        return any((each.cell, each.subject, each.round_number) == wanted for each in self.measurements)

    def add(self, measurement: Measurement) -> None:
        measurement.commit = self._commit
        self.measurements.append(measurement)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
        kept = {"machine": machine, "measurements": [asdict(each) for each in self.measurements]}
        written = self._path.with_suffix(".written")
        written.write_text(json.dumps(kept, indent=1))
        written.replace(self._path)


def current_commit() -> str:
    """The commit of the checkout, with a plus when files of the platform or its plugins differ from it."""
    command = ["git", "-C", str(_REPOSITORY)]
    try:
        commit = subprocess.run([*command, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*command, "status", "--porcelain", "platform", "plugins"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
