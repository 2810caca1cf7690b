"""One rule: which requests it is for, what happens to them, and how often."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mainstem.model.configs.nearest import suggestion
from mainstem.model.errors import ConfigError, ErrorCode
from mainstem.wire.apis import ApiKey

Kind = Literal["error", "delay", "disconnect", "coordinator-move", "rebalance"]
When = Literal["before", "after"]

DELAY_MS_MAX = 3_600_000
API_NAMES = {api.title: api for api in ApiKey}
OWN_FIELDS = {
    "error": {"error", "when", "topic", "partition", "group"},
    "delay": {"delay_ms", "jitter_ms", "when", "topic", "partition", "group"},
    "disconnect": {"when", "topic", "partition", "group"},
    "coordinator-move": {"group"},
    "rebalance": {"group"},
}
"""Beside `kind`, `api`, `client_id`, `skip`, `count` and `probability`, which every kind has."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a fault is for and what it does; the same fields as JSON are the body of `POST /faults`.

    - `kind`: `error` answers with the error code named in `error`; `delay` answers `delay_ms` later, and up to `jitter_ms` more;
      `disconnect` closes the connection; `coordinator-move` answers NOT_COORDINATOR until the client has asked FindCoordinator
      again; `rebalance` makes each member of a group join again.
    - `api` (Kafka's name, such as `Produce`), `topic`, `partition`, `group` (a transactional id as well) and `client_id` say which
      requests; what is None is not asked. An error for a topic or partition leaves the request's others alone.
    - `when`: `before` the request took effect, or `after` it did and before its answer left. Delays default to `after`, the
      others to `before`.
    - `skip`: the first so many requests that fit are left alone. `count`: at most so many get the fault, None for all of them.
      `probability`: of those, each gets it by chance.
    """

    kind: Kind
    api: str | None = None
    topic: str | None = None
    partition: int | None = None
    group: str | None = None
    client_id: str | None = None
    error: str | None = None
    delay_ms: int = 0
    jitter_ms: int = 0
    when: When | None = None
    skip: int = 0
    count: int | None = None
    probability: float = 1.0

    @property
    def code(self) -> ErrorCode:
        """Of kind `error`."""
        assert self.error is not None, "checked by `check_fault`"
        return ErrorCode[self.error]

    @property
    def is_late(self) -> bool:
        """Whether the request takes effect first."""
        return self.when == "after" or (self.when is None and self.kind == "delay")


def check_fault(fault: Fault) -> None:
    """Raises: ConfigError, naming the field."""
    if fault.api is not None and fault.api not in API_NAMES:
        raise ConfigError("api", fault.api, f"no API has this name{suggestion(fault.api, API_NAMES)}")
    if fault.kind == "error":
        _check_error(fault.error)
    if fault.kind == "delay" and not fault.delay_ms and not fault.jitter_ms:
        raise ConfigError("delay_ms", fault.delay_ms, "a delay needs delay_ms or jitter_ms")
    if fault.kind in ("coordinator-move", "rebalance") and not fault.group:
        raise ConfigError("group", fault.group, f"{fault.kind} needs a group or a transactional id")
    _check_numbers(fault)
    for name in ("error", "delay_ms", "jitter_ms", "when", "topic", "partition", "group"):
        if name not in OWN_FIELDS[fault.kind] and getattr(fault, name) not in (None, 0):
            raise ConfigError(name, getattr(fault, name), f"a fault of kind {fault.kind} has no {name}")


def _check_error(error: str | None) -> None:
    names = [code.name for code in ErrorCode if code is not ErrorCode.NONE]
    if error not in names:
        raise ConfigError("error", error, f"the name of one of Kafka's error codes{suggestion(error or '', names)}")


def _check_numbers(fault: Fault) -> None:
    bounds: dict[str, tuple[float, float]] = {
        "delay_ms": (0, DELAY_MS_MAX),
        "jitter_ms": (0, DELAY_MS_MAX),
        "skip": (0, float("inf")),
        "probability": (0, 1),
    }
    if fault.count is not None:
        bounds["count"] = (1, float("inf"))
    if fault.partition is not None:
        bounds["partition"] = (0, float("inf"))
    for name, (low, high) in bounds.items():
        value = getattr(fault, name)
        if not low <= value <= high:
            raise ConfigError(
                name, value, f"a number from {low} to {high}" if high < float("inf") else f"at least {low}"
            )


def fault_from_json(body: bytes) -> Fault:
    """Raises: ConfigError, naming the field."""
    try:
        fault = msgspec.json.decode(body, type=Fault)
    except msgspec.DecodeError as error:
        raise ConfigError("fault", body[:200].decode("utf-8", "replace"), str(error)) from None
    check_fault(fault)
    return fault


def fault_from_fields(kind: Kind, fields: dict[str, Any]) -> Fault:
    """Raises: ConfigError, naming the field."""
    try:
        fault = msgspec.convert({"kind": kind, **fields}, type=Fault)
    except msgspec.ValidationError as error:
        raise ConfigError("fault", fields, str(error)) from None
    check_fault(fault)
    return fault
