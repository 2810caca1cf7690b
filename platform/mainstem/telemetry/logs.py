"""Logs of this project: structlog, on standard error, apart from whatever the program around us has set up.

Normal work is silent at INFO; WARNING asks someone to act. In-process use starts at WARNING, `mainstem broker` at INFO. As lines
for people, or as JSON, one object a line: `timestamp`, `level`, `component`, `event` and the event's facts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from mainstem.api.context import Log
from mainstem.model.errors import ConfigError
from mainstem.telemetry.loggers import LEVELS as KAFKA_LEVELS

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
FORMATS = ("console", "json")
LEVEL_VARIABLE, FORMAT_VARIABLE = "MAINSTEM_LOG_LEVEL", "MAINSTEM_LOG_FORMAT"
_level = LEVELS["warning"]
_format = "console"


def configure(
    level: str | None = None,
    form: str | None = None,
    *,
    default_level: str = "info",
    environment: Mapping[str, str] = os.environ,
) -> None:
    """For the owner of a process; loggers made before keep what they have. What is None is in the environment
    (MAINSTEM_LOG_LEVEL, MAINSTEM_LOG_FORMAT) or the default.

    Raises: ConfigError naming what is possible.
    """
    global _level, _format
    form = form or environment.get(FORMAT_VARIABLE) or "console"
    level = level or environment.get(LEVEL_VARIABLE) or ("info" if form == "json" else default_level)
    if level not in LEVELS:
        raise ConfigError("log-level", level, f"it is one of {', '.join(LEVELS)}")
    if form not in FORMATS:
        raise ConfigError("log-format", form, f"it is one of {', '.join(FORMATS)}")
    _level, _format = LEVELS[level], form
    _import_without_rich()


def is_json() -> bool:
    """Everything that this process says on standard error is a line of JSON."""
    return _format == "json"


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
            *_renderers(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level] if level else _level),
        component=name,
    )
    return logger


def _renderers() -> list[Any]:
    import structlog

    if is_json():
        import orjson  # not at the start of a broker that needs none

        def to_json(facts: Any, **_: Any) -> str:
            return orjson.dumps(facts, default=str, option=orjson.OPT_NON_STR_KEYS).decode()

        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(to_json)]
    return [
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    ]
