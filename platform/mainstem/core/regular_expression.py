"""Regular expressions of clients are evaluated in linear time, whatever they send (RE2).

Source: KIP-848, KIP-1152; Kafka 4.1 uses RE2/J, whose syntax is RE2's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

PATTERNS_KEPT = 256
# What RE2's C++ says, in the words of its Java sibling, which Kafka hands on.
_IN_JAVA = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}


@cache
def _engine() -> tuple[Any, Any]:
    # Loaded with the first expression: the broker's start does without it.
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
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        # Behind the colon stands the part of the expression that is wrong.
        kind = text.partition(": ")[0]
        return _IN_JAVA.get(kind, kind)
    return None


def matches(regex: str, name: str) -> bool:
    """Whether the name matches as a whole. The expression is valid."""
    return _compiled(regex)(name) is not None


def matching_names(regex: str, names: Iterable[str]) -> frozenset[str]:
    """The names that match as a whole; none if the expression is not valid."""
    if regex_problem(regex) is not None:
        return frozenset()
    return frozenset(name for name in names if matches(regex, name))
