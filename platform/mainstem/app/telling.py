"""What a run says to whoever started it: a sentence on standard error, or an event where logs are JSON."""

from __future__ import annotations

import sys
from typing import Any

from mainstem.telemetry.logs import get_logger, is_json

COMPONENT = "mainstem.run"


def tell(sentence: str, event: str, *, is_failure: bool = False, **facts: Any) -> None:
    if is_json():
        log_event(event, is_failure=is_failure, **facts)
    else:
        print(sentence, file=sys.stderr)  # noqa: T201 - this is for people


def log_event(event: str, *, is_failure: bool = False, **facts: Any) -> None:
    """For what people are told in another way."""
    log = get_logger(COMPONENT, "info")
    (log.error if is_failure else log.info)(event, **facts)
