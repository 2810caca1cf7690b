"""Columns out of values: the field of a dict or an attribute, and event times, with the place of the first
misfit.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mainstem.api.spec import nearest
from mainstem.pipeline.errors import StageFailure

Selector = str | Callable[[Any], Any]
"""A field's name, or a function of the value."""


def call_each(function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    """`list(map(function, values))` that knows at which value the function raised.

    `list.extend` keeps what the iterator yielded before it raised, so the fast loop in C also counts.

    Raises: StageFailure from whatever the function raised, with the results so far as `applied`.
    """
    results: list[Any] = []
    try:
        results.extend(map(function, values))
    except Exception as error:  # a user's function may raise anything; the engine stops with the place
        raise StageFailure(error, len(results), applied=results) from error
    return results


def select(selector: Selector, values: Sequence[Any]) -> list[Any]:
    """One field of every value. Raises: StageFailure."""
    if not isinstance(selector, str):
        return call_each(selector, values)
    field = selector
    column: list[Any] = []
    try:
        if values and isinstance(values[0], dict):
            column.extend(value[field] for value in values)
        else:
            column.extend(getattr(value, field) for value in values)
    except (KeyError, AttributeError, TypeError, IndexError):
        index = len(column)
        raise StageFailure(_absence(field, values[index]), index) from None
    return column


def _absence(field: str, value: Any) -> str:
    if isinstance(value, dict):
        known = [key for key in value if isinstance(key, str)]
        return f"the value has no field {field!r}; {nearest(field, known)}"
    if isinstance(value, bytes | str | None):
        kind = type(value).__name__
        return f"the value is {kind} and has no field {field!r}; decode it at the source, with value='json' say"
    return f"a value of type {type(value).__name__} has no field {field!r}"


def event_times(selector: Selector, values: Sequence[Any]) -> list[int]:
    """Milliseconds since 1970 of every value: an integer (ms), a datetime, or ISO 8601 text.

    Times without a zone are taken as UTC. Raises: StageFailure.
    """
    return call_each(_event_time, select(selector, values))


def _event_time(value: Any) -> int:
    if type(value) is int:
        return value
    moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime.datetime):
        raise TypeError(f"{value!r:.60} is no event time: give milliseconds since 1970, a datetime or ISO 8601 text")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - EPOCH) // MILLISECOND


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
