"""structlog, set up once by whoever owns the process; a library user's own set-up is left alone.

Normal work is silent at INFO; WARNING asks someone to act.
"""

from __future__ import annotations

import sys

from mainstem.api.context import Log

LEVELS = ("debug", "info", "warning", "error")


def configure(level: str = "info") -> None:
    """Lines for people on standard error. Raises: ValueError naming the levels."""
    import logging

    import structlog

    if level not in LEVELS:
        raise ValueError(f"log level {level!r} is not one of {', '.join(LEVELS)}")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def get_logger(name: str) -> Log:
    import structlog

    logger: Log = structlog.get_logger(component=name)
    return logger
