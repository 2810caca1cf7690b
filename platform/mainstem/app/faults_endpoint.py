"""`/faults`: rules for tests in any language, beside `/metrics`, and only where `faults.enable=true`.

GET    /faults       all rules, and how often each was for a request and injected
POST   /faults       a rule as JSON (the fields of `Fault`); answers {"id": 1}
DELETE /faults/1     one rule
DELETE /faults       all of them
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from mainstem.broker.faults.registry import Faults
from mainstem.broker.faults.rules import fault_from_json
from mainstem.model.errors import ConfigError

JSON = "application/json"


@dataclass(slots=True)
class HttpRequest:
    """Names of `headers` are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: str = ""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: str
    kind: str
    body: bytes


def read_body_size(request: HttpRequest) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdecimal() else 0


async def answer_faults(faults: Faults | None, request: HttpRequest) -> HttpAnswer:
    """`faults` is None where nobody may change them. On the broker's loop, so that a rule is obeyed when its answer leaves."""
    if faults is None:
        return _error("403 Forbidden", "faults are switched off; start the broker with faults.enable=true")
    _, _, number = request.path.removeprefix("/").partition("/")
    try:
        match request.method:
            case "GET" if not number:
                return _json("200 OK", {"seed": faults.seed, "rules": faults.statuses()})
            case "GET":
                return _json("200 OK", faults.status(_number(number)))
            case "POST" if not number:
                return _add(faults, request)
            case "DELETE":
                if number:
                    faults.remove(_number(number))
                else:
                    faults.clear()
                return _json("200 OK", {})
            case _:
                return _error("405 Method Not Allowed", "GET, POST and DELETE are answered here")
    except ConfigError as error:
        return _error("404 Not Found" if error.key == "id" else "400 Bad Request", str(error))


def _add(faults: Faults, request: HttpRequest) -> HttpAnswer:
    """Raises: ConfigError."""
    # A page in somebody's browser cannot send this kind of body here without asking first, which is refused.
    if request.headers.get("content-type", "").partition(";")[0].strip() != JSON:
        return _error("415 Unsupported Media Type", f"the body must be {JSON}")
    return _json("201 Created", {"id": faults.add(fault_from_json(request.body))})


def _number(text: str) -> int:
    """Raises: ConfigError."""
    if not (text.isascii() and text.isdecimal()):
        raise ConfigError("id", text, "the number of a rule")
    return int(text)


def _json(status: str, value: object) -> HttpAnswer:
    return HttpAnswer(status, JSON, msgspec.json.encode(value) + b"\n")


def _error(status: str, message: str) -> HttpAnswer:
    return _json(status, {"error": message})
