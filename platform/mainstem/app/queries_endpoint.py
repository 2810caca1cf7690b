"""`/pipelines`: the state of running pipelines, beside `/metrics`.

GET /pipelines                                  names, and the steps with state that are here
GET /pipelines/totals/state/aggregate           entries of a step, at most `limit` (1,000)
GET /pipelines/totals/state/aggregate?key=ann   of one key; JSON for keys that are no text: key=7, key=["ann",2]
GET /pipelines/delays/state/window?from=…&to=…  of windows that start in this time (ms since 1970)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from mainstem.app.faults_endpoint import JSON, HttpAnswer, HttpRequest
from mainstem.pipeline.engine.queries import LIMIT, Queries, UnknownStep

LIMIT_MAX = 100_000


def answer_queries(queries: Mapping[str, Queries], request: HttpRequest) -> HttpAnswer:
    if request.method != "GET":
        return _answer("405 Method Not Allowed", {"error": "only GET is answered here"})
    parts = [unquote(part) for part in request.path.split("/")[2:] if part]
    if not parts:
        known = [{"pipeline": name, "state": one.steps()} for name, one in sorted(queries.items())]
        return _answer("200 OK", known)
    found = queries.get(parts[0])
    if found is None:
        return _answer("404 Not Found", {"error": f"no pipeline {parts[0]} runs here; there are {', '.join(queries)}"})
    if len(parts) == 1 or parts[1:] == ["state"]:
        return _answer("200 OK", found.steps())
    if len(parts) != 3 or parts[1] != "state":
        return _answer("404 Not Found", {"error": "ask for /pipelines/NAME/state/STEP"})
    return _entries(found, parts[2], parse_qs(request.query, keep_blank_values=True))


def _entries(queries: Queries, step: str, query: Mapping[str, list[str]]) -> HttpAnswer:
    try:
        first, last = _number(query, "from"), _number(query, "to")
        limit = _number(query, "limit")
        wanted = [key for text in query["key"] for key in _keys(text)] if "key" in query else None
    except ValueError as error:
        return _answer("400 Bad Request", {"error": str(error)})
    bounded = LIMIT if limit is None else max(1, min(limit, LIMIT_MAX))
    try:
        entries = queries.entries(step, keys=wanted, first_group=first, last_group=last, limit=bounded)
    except UnknownStep:
        steps = ", ".join(one.step for one in queries.steps())
        return _answer("404 Not Found", {"error": f"step {step} keeps no state here; there are {steps or 'none'}"})
    return _answer("200 OK", entries)


def _number(query: Mapping[str, list[str]], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return int(query[name][0])
    except ValueError:
        raise ValueError(f"{name}={query[name][0]} is not a number") from None


def _keys(text: str) -> Sequence[Any]:
    """What a text may mean: itself, its bytes, or what it is as JSON; an array is a key of several fields."""
    keys: list[Any] = [text, text.encode()]
    try:
        decoded = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return keys
    return [*keys, tuple(decoded) if isinstance(decoded, list) else decoded]


def _answer(status: str, body: Any) -> HttpAnswer:
    return HttpAnswer(status, JSON, msgspec.json.encode(body, enc_hook=_plain))


def _plain(value: Any) -> Any:
    return repr(value)
