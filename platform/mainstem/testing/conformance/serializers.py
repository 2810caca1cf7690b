"""The contract of `api.serde`, tried on one serializer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstem.api.serde import SerdeError, Serializer, SerializerSpec
from mainstem.api.spec import configure
from mainstem.model.errors import ConfigError


def check_serializer(
    spec: SerializerSpec,
    values: Sequence[Any],
    *,
    unfit: Sequence[Any] = (),
    unreadable: Sequence[bytes] = (),
    **options: Any,
) -> None:
    """`values`: at least two, none of them None, that come back equal. `unfit`: values that must be refused.
    `unreadable`: bytes that must be refused. `options`: the serializer's configuration."""
    assert len(values) >= 2, "give at least two values"
    serializer = spec.open(configure(spec.config, options, owner=f"serializer {spec.name}"))
    _check_round_trip(serializer, values)
    _check_nulls(serializer, values)
    for value in unfit:
        _check_refused(serializer.dumps_many, values, value)
    written = serializer.dumps_many(values)
    for data in unreadable:
        _check_refused(serializer.loads_many, written, data)
    _check_unknown_setting(spec, options)


def _check_round_trip(serializer: Serializer, values: Sequence[Any]) -> None:
    written = serializer.dumps_many(values)
    assert isinstance(written, list), f"dumps_many returned {type(written).__name__}, not a list"
    assert all(type(data) is bytes for data in written), "dumps_many must return bytes, not bytearray or text"
    read = serializer.loads_many(written)
    assert isinstance(read, list), f"loads_many returned {type(read).__name__}, not a list"
    assert read == list(values), f"{list(values)!r} came back as {read!r}"
    one_by_one = [serializer.dumps_many([value])[0] for value in values]
    assert one_by_one == written, "the bytes of a value must not depend on the batch it is in"
    assert serializer.dumps_many([]) == [], "an empty batch must stay empty"
    assert serializer.loads_many([]) == [], "an empty batch must stay empty"


def _check_nulls(serializer: Serializer, values: Sequence[Any]) -> None:
    mixed = [None, values[0], None]
    written = serializer.dumps_many(mixed)
    assert [data is None for data in written] == [True, False, True], "None must be written as None"
    assert serializer.loads_many(written) == mixed, "None must be read as None"


def _check_refused(convert: Any, good: Sequence[Any], bad: Any) -> None:
    for place in (0, 1, 2):
        batch = [good[0], good[1]]
        batch.insert(place, bad)
        refusal, result = None, None
        try:
            result = convert(batch)
        except SerdeError as error:
            refusal = error
        assert refusal is not None, f"{bad!r} was taken and became {result!r}"
        assert refusal.index == place, f"{bad!r} at place {place} was reported at place {refusal.index}"
        assert refusal.reason, "a SerdeError needs a reason"


def _check_unknown_setting(spec: SerializerSpec, options: dict[str, Any]) -> None:
    try:
        configure(spec.config, {**options, "no_such_setting": 1}, owner=spec.name)
    except ConfigError:
        return
    raise AssertionError("an unknown setting was accepted: derive the configuration from PluginConfig")
