"""What the methods of `Pipeline` check while a plan is written down, so that a mistake is named at its line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, cast

from mainstem.api.spec import nearest
from mainstem.pipeline.errors import PlanError
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.aggregates import Aggregate
from mainstem.pipeline.plan.graph import Node
from mainstem.pipeline.plan.policies import Dlq, Policy, Retry, Skip, Stop
from mainstem.pipeline.plan.steps import Emit, Every, Plugin
from mainstem.pipeline.plan.windows import CountWindow, Hopping, Session, Sliding, Tumbling, WindowKind, duration_ms

JOIN_KINDS = ("inner", "left", "outer")
TOPIC_SOURCE_OPTIONS: Mapping[str, Any] = {"key": None, "value": None, "start": "earliest"}
TOPIC_SINK_OPTIONS: Mapping[str, Any] = {
    "key": None,
    "value": None,
    "partitioner": "murmur2",
    "partitions": 1,
    "configs": None,
}


class Builder:
    """Makes values for the steps of one pipeline. Every method raises PlanError."""

    __slots__ = ("pipeline",)

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline

    def refuse(self, problem: str) -> NoReturn:
        raise PlanError(self.pipeline, [problem])

    def step_name(self, kind: str, name: str | None, prefix: str, nodes: Iterable[Node]) -> str:
        """`map`, `map-2`, `map-3`: another step put in between renames no step of another kind. Behind a branch they begin
        with its name: `paid-map`."""
        if name is not None:
            return name
        base = f"{prefix}{kind}"
        count = sum(1 for node in nodes if node.step.name == base or _is_numbered(node.step.name, base))
        return base if count == 0 else f"{base}-{count + 1}"

    def function(self, step: str, function: object, *, may_be_async: bool = False) -> None:
        if not callable(function):
            self.refuse(f"{step} needs a function, got {function!r}")
        if not may_be_async and inspect.iscoroutinefunction(function):
            self.refuse(f"{step} calls its function per record and cannot await it; map and map_batches can")

    def options(self, step: str, options: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        for key in options:
            if key not in known:
                self.refuse(f"{step} of a topic has no setting {key!r}; {nearest(key, [*known, 'connector'])}")
        return {**known, **options}

    def plugin(self, setting: str, named: object) -> Plugin | None:
        if named is None or isinstance(named, Plugin):
            return named
        if not isinstance(named, str):
            self.refuse(f'{setting} is the name of a plugin or Plugin("name", setting=...), got {named!r}')
        return Plugin(named)

    def duration(self, step: str, setting: str, value: str | int) -> int:
        try:
            return duration_ms(value)
        except ValueError as error:
            self.refuse(f"{step}: {setting}: {error}")

    def above_zero(self, step: str, setting: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.refuse(f"{step}: {setting}={value!r} is not a number above 0")

    def key(
        self, step: str, selectors: Sequence[object], field: str
    ) -> tuple[tuple[str, ...], Callable[[Any], Any] | None]:
        """Names of the fields, and the function if it is one: its result is called `field`."""
        names = tuple(selector for selector in selectors if isinstance(selector, str))
        if len(selectors) == 1 and not names:
            self.function(step, selectors[0])
            return (field,), cast(Callable[[Any], Any], selectors[0])
        if not names or len(names) != len(selectors):
            self.refuse(f"{step} needs fields or one function, got {tuple(selectors)!r}")
        return names, None

    def policy(self, step: str, policy: object, default: Policy) -> Policy:
        if policy is None:
            return default
        if isinstance(policy, type) and issubclass(policy, Stop | Skip):
            return policy()
        if not isinstance(policy, Stop | Skip | Dlq | Retry):
            self.refuse(f'{step}: on_error is Stop(), Skip(), Dlq("topic") or Retry(5, then=...), got {policy!r}')
        return policy

    def window(self, window: object) -> WindowKind:
        if not isinstance(window, Tumbling | Hopping | Sliding | Session | CountWindow):
            self.refuse(f'window needs a window such as Tumbling("1d"), got {window!r}')
        return window

    def emit(self, step: str, emit: object, *, can_be_final: bool) -> Emit:
        known = ("final", "update") if can_be_final else ("update",)
        if not isinstance(emit, Every) and emit not in known:
            said = " or ".join(repr(one) for one in known)
            self.refuse(f'{step}: emit is {said} or Every("10s"), got {emit!r}')
        return cast(Emit, emit)

    def join_kind(self, step: str, how: object, *, allowed: tuple[str, ...] = JOIN_KINDS) -> Any:
        if how not in allowed:
            self.refuse(f"{step}: how={how!r} is not possible here; it is one of {', '.join(allowed)}")
        return how

    def aggregates(self, step: str, aggregates: Mapping[str, Aggregate], taken: Iterable[str]) -> None:
        problems = []
        if not aggregates:
            problems.append(f"{step} needs at least one aggregate, such as n=Count()")
        others = set(taken)
        for name, aggregate in aggregates.items():
            if name in others:
                problems.append(f"aggregate {name!r} has the name of another field of the result")
            methods = ("initial", "add", "result", "selector")
            if isinstance(aggregate, type) or not all(hasattr(aggregate, method) for method in methods):
                problems.append(f"aggregate {name!r} is {aggregate!r}, not an aggregate such as Mean('price')")
        if problems:
            raise PlanError(self.pipeline, problems)

    def takes_context(self, step: str, function: object) -> bool:
        """Whether a stateful function has a third parameter."""
        try:
            parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]  # it is callable
        except (TypeError, ValueError):
            return False
        needed = [
            one
            for one in parameters
            if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) and one.default is one.empty
        ]
        if len(needed) not in (2, 3) and not any(one.kind is one.VAR_POSITIONAL for one in parameters):
            self.refuse(f"{step} calls function(value, state) or function(value, state, context), got {function!r}")
        return len(needed) == 3


def key_fields(tip: Node | None) -> tuple[str, ...]:
    """What the parts of the key are called, going up from a node to the next key_by; `key` without one."""
    seen = [tip] if tip is not None else []
    while seen:
        node = seen.pop(0)
        if isinstance(node.step, steps.KeyBy):
            return node.step.fields
        seen += [entry.node for entry in node.inputs]
    return ("key",)


def _is_numbered(name: str, base: str) -> bool:
    return name.startswith(f"{base}-") and name[len(base) + 1 :].isdigit()
