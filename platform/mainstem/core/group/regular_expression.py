"""Subscriptions by regular expression are evaluated in linear time, whatever a client sends (RE2).

Source: KIP-848; Kafka 4.1 uses RE2/J, whose syntax is RE2's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

PATTERNS_KEPT = 256


@cache
def _engine() -> tuple[Any, Any]:
    # Loaded with the first such subscription: the broker's start does without it.
    import re2

    options = re2.Options()
    # What is wrong with an expression goes to whoever sent it, not to the broker's stderr.
    options.log_errors = False
    return re2, options


@lru_cache(maxsize=PATTERNS_KEPT)
def _compiled(regex: str) -> Callable[[str], Any]:
    engine, options = _engine()
    fullmatch: Callable[[str], Any] = engine.compile(regex, options).fullmatch
    return fullmatch


def regex_problem(regex: str) -> str | None:
    """What is wrong with an expression, None if it is valid."""
    try:
        _compiled(regex)
    except _engine()[0].error as error:
        reason = error.args[0] if error.args else error
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return None


def matching_topics(regex: str, names: Iterable[str]) -> frozenset[str]:
    """The names that match as a whole; none if the expression is not valid."""
    if regex_problem(regex) is not None:
        return frozenset()
    matches = _compiled(regex)
    return frozenset(name for name in names if matches(name) is not None)
