"""What every plugin's `open` gets: time, logs, threads and metrics of the process it lives in."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol

from mainstem.api.files import FileSystem, OsFiles
from mainstem.api.sensor import Sensor


class Clock(Protocol):
    """The only source of time. Tests replace it by a virtual one."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 (UTC), as records carry them."""

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back, for deadlines."""


class Log(Protocol):
    """structlog's bound logger: an event name in dotted form, facts as keyword arguments."""

    def debug(self, event: str, **facts: Any) -> Any: ...
    def info(self, event: str, **facts: Any) -> Any: ...
    def warning(self, event: str, **facts: Any) -> Any: ...
    def error(self, event: str, **facts: Any) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginContext:
    """Lives as long as the process; `executor` is for blocking calls and is bounded. What must survive a crash is written
    through `files`, so that tests can crash it at every call."""

    clock: Clock
    log: Log
    executor: Executor
    sensor: Sensor
    files: FileSystem = field(default_factory=OsFiles)
