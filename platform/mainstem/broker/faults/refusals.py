"""Answers with an error in them: made for a part of a request, put over a real answer, or stamped all over one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from mainstem.broker.faults.places import ITSELF, SHAPES, Place, Shape, Subject, Top
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import response_schema
from mainstem.wire.schema import ZERO_UUID, Message

MESSAGE = "a fault that was asked for"
TOPIC_RESOURCE = 2
ERROR_FIELDS = ("error_code", "partition_error_code")


class Named(NamedTuple):
    """What a request, or a part of it, is about, as far as it says."""

    topic: str | None = None
    partition: int | None = None
    group: str | None = None


class Wanted(NamedTuple):
    """The part of a request that a rule means; None means whatever there is."""

    topic: str | None
    partition: int | None
    group: str | None

    @property
    def is_whole_request(self) -> bool:
        return self.topic is None and self.partition is None

    def is_met_by(self, named: Named) -> bool:
        return all(wish is None or wish == name for wish, name in zip(self, named, strict=True))


class Split(NamedTuple):
    """`refused` has the error in `places` places; `rest` is what is left of the request, None for nothing."""

    refused: Message
    rest: Message | None
    places: int


class Splitter:
    """Splits requests of one API and version. `name_of` finds a topic's name by its id."""

    def __init__(
        self, api: ApiKey, version: int, wanted: Wanted, error: ErrorCode, name_of: Callable[[bytes], str | None]
    ) -> None:
        self._shape: Shape = SHAPES[api]
        self._response = response_schema(api).message
        self._version = version
        self._wanted = wanted
        self._error = error
        self._name_of = name_of
        self._places = 0

    def split(self, request: Message) -> Split:
        shape = self._shape
        whole = Named(group=getattr(request, shape.group) if shape.group else None)
        kept: dict[str, list[Any]] = {}
        values: dict[str, Any] = {}
        for place in shape.places:
            left, answered = self._split_list(place, self._response, getattr(request, place.asked), whole)
            kept[place.asked] = left
            values[place.answered] = [*values.get(place.answered, ()), *answered]
        is_refused = self._refuse_top(whole, values)
        values |= {told: getattr(request, asked) for asked, told in shape.copied} if is_refused else {}
        rest = None
        if not is_refused and any(kept.values()):
            rest = msgspec.structs.replace(request, **kept)
        return Split(self._response(**values), rest, self._places)

    def _refuse_top(self, whole: Named, values: dict[str, Any]) -> bool:
        """Whether the error stands at the top of the answer, which is then about all of the request."""
        top = self._shape.top
        if top is Top.NEVER or not self._wanted.is_whole_request or not self._wanted.is_met_by(whole):
            return False
        if (top is Top.ALONE and self._places) or not travels(self._response, "error_code", self._version):
            return False
        self._places += 1
        values |= {"error_code": self._error, **_message(self._response), **self._shape.given}
        return True

    def _split_list(
        self, place: Place, response: type[Message], items: Sequence[Any] | None, named: Named
    ) -> tuple[list[Any], list[Message]]:
        """(elements that are left, answers to the others)."""
        kept: list[Any] = []
        answered: list[Message] = []
        answer = element_class(response, place.answered)
        for item in items or ():
            here = self._about(place, item, named)
            values = {told: item if asked is ITSELF else getattr(item, asked) for asked, told in place.names}
            inside = place.inside
            if inside is not None and (place.error is None or not self._wanted.is_whole_request):
                left, inner = self._split_list(inside, answer, getattr(item, inside.asked), here)
                if inner:
                    answered.append(answer(**values, **{inside.answered: inner}))
                if left:
                    kept.append(msgspec.structs.replace(item, **{inside.asked: left}))
            elif self._wanted.is_met_by(here):
                self._places += 1
                error = {place.error or "error_code": self._error}
                answered.append(answer(**values, **place.given, **error, **_message(answer)))
            else:
                kept.append(item)
        return kept, answered

    def _about(self, place: Place, item: Any, named: Named) -> Named:
        first = place.names[0][0] if place.names else None
        value = item if first is ITSELF else getattr(item, first) if first is not None else None
        match place.subject:
            case Subject.TOPIC:
                topic_id = getattr(item, "topic_id", ZERO_UUID)
                return named._replace(topic=value or (self._name_of(topic_id) if topic_id != ZERO_UUID else None))
            case Subject.PARTITION:
                return named._replace(partition=value)
            case Subject.GROUP:
                return named._replace(group=value)
            case Subject.RESOURCE:
                return named._replace(topic=item.resource_name if item.resource_type == TOPIC_RESOURCE else None)
            case _:
                return named


def overlay(api: ApiKey, answer: Message, refused: Message) -> Message:
    """`answer` with what `refused` says in the place of what it says about the same parts."""
    changes = {
        place.answered: _overlay_list(place, getattr(answer, place.answered), getattr(refused, place.answered))
        for place in SHAPES[api].places
    }
    return msgspec.structs.replace(answer, **changes)


def _overlay_list(place: Place, answered: Iterable[Message] | None, refused: Iterable[Message]) -> list[Message]:
    rows: dict[Any, Message] = {_key(place, item): item for item in answered or ()}
    for item in refused:
        key = _key(place, item)
        found = rows.get(key)
        if found is not None and place.inside is not None and getattr(item, place.inside.answered):
            inner = place.inside
            merged = _overlay_list(inner, getattr(found, inner.answered), getattr(item, inner.answered))
            item = msgspec.structs.replace(found, **{inner.answered: merged})
        rows[key] = item
    return list(rows.values())


def _key(place: Place, item: Message) -> tuple[Any, ...]:
    return tuple(getattr(item, told) for _, told in place.names)


def stamp(answer: Message, error: ErrorCode) -> Message:
    """`answer` with the error wherever there is room for one; for answers to requests that name nothing."""
    changes: dict[str, Any] = {}
    for field in answer.layout:
        value = getattr(answer, field.name)
        if field.name in ERROR_FIELDS:
            changes[field.name] = error
        elif field.type.startswith("[]") and value and isinstance(value[0], Message):
            changes[field.name] = [stamp(item, error) for item in value]
    return msgspec.structs.replace(answer, **changes) if changes else answer


def travels(message: type[Message], name: str, version: int) -> bool:
    return any(field.name == name and field.travels_in(version) for field in message.layout)


@cache
def element_class(message: type[Message], name: str) -> type[Message]:
    kind = next(field.type for field in message.layout if field.name == name)
    found: type[Message] = getattr(sys.modules[message.__module__], kind.removeprefix("[]"))
    return found


def _message(answer: type[Message]) -> dict[str, str]:
    return {"error_message": MESSAGE} if "error_message" in answer.__struct_fields__ else {}
