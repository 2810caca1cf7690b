"""A broker's named loggers (KIP-412): what an event's name begins with, each with a level that can change while the broker runs.

Levels are Kafka's names. They are not kept: the next start begins with that of the process, as with Kafka.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstem.api.context import Log

ROOT = "root"
AREAS = (
    "broker",
    "cleaner",
    "config",
    "connection",
    "coordinator",
    "group",
    "housekeeping",
    "request",
    "storage",
    "transaction",
)
"""The first parts of all events of a broker; a test finds one that is missing."""
LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}


class Loggers:
    """Owned by one broker; a `Log` that hands on what the level of its area lets through."""

    def __init__(self, log: Log, root: str) -> None:
        """`log` must let everything through that anybody may want to see. `root`: a name of `LEVELS`."""
        self._log = log
        self._root = root
        self._chosen: dict[str, str] = {}

    def levels(self) -> Mapping[str, str]:
        """The effective level of every logger."""
        return {ROOT: self._root, **{area: self._chosen.get(area, self._root) for area in AREAS}}

    def choose(self, name: str, level: str | None) -> None:
        """None: that of the root again. `name` and `level` are known ones."""
        assert name == ROOT or name in AREAS, name
        assert level is None or level in LEVELS, level
        if name == ROOT:
            assert level is not None, "the root has nobody above it"
            self._root = level
        elif level is None:
            self._chosen.pop(name, None)
        else:
            self._chosen[name] = level

    def debug(self, event: str, **facts: Any) -> Any:
        return self._log.debug(event, **facts) if self._lets_through(event, 10) else None

    def info(self, event: str, **facts: Any) -> Any:
        return self._log.info(event, **facts) if self._lets_through(event, 20) else None

    def warning(self, event: str, **facts: Any) -> Any:
        return self._log.warning(event, **facts) if self._lets_through(event, 30) else None

    def error(self, event: str, **facts: Any) -> Any:
        return self._log.error(event, **facts) if self._lets_through(event, 40) else None

    def _lets_through(self, event: str, level: int) -> bool:
        return level >= LEVELS[self._chosen.get(event.partition(".")[0], self._root)]
