"""Logs of this project: structlog, on standard error, apart from whatever the program around us has set up.

Normal work is silent at INFO; WARNING asks someone to act. In-process use starts at WARNING, `mainstem broker` at INFO.
"""

from __future__ import annotations

import sys

from mainstem.api.context import Log
from mainstem.telemetry.loggers import LEVELS as KAFKA_LEVELS

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_level = LEVELS["warning"]


def configure(level: str = "info") -> None:
    """For the owner of a process; loggers made before keep their level. Raises: ValueError naming the levels."""
    global _level  # noqa: PLW0603 - one level for the process
    if level not in LEVELS:
        raise ValueError(f"log level {level!r} is not one of {', '.join(LEVELS)}")
    _level = LEVELS[level]
    _import_without_rich()


def _import_without_rich() -> None:
    """structlog imports rich for tracebacks in colour; ours are plain, and rich is a fifth of the time until the port answers.

    Only the owner of a process may decide that: in somebody else's, structlog stays as they know it.
    """
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]  # how Python marks a module that must not be imported
    try:
        import structlog  # noqa: F401 - for the import
    finally:
        if hidden:
            del sys.modules["rich"]


def kafka_level() -> str:
    """The level of this process in Kafka's words."""
    return next(name for name, number in KAFKA_LEVELS.items() if number == _level)


def get_logger(name: str, level: str | None = None) -> Log:
    """`level`: another one than that of the process."""
    import structlog

    logger: Log = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level] if level else _level),
        component=name,
    )
    return logger
