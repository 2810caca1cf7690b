"""What all plugin descriptors share: a name and a typed configuration.

class ShoutConfig(PluginConfig, frozen=True, kw_only=True):
    volume: int = 11

configure(ShoutConfig, {"volum": 3}, owner="serializer shout")
# ConfigError: volum=3 is not valid: serializer shout has no such setting; did you mean volume?
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from mainstem.model.configs import nearest as names
from mainstem.model.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound="PluginConfig")


class PluginConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every plugin's configuration. Fields with defaults are optional; unknown keys are errors.

    A field of type `Secret` is never shown in logs, errors or `mainstem plugins`.
    """


class Secret:
    """A string that nothing shows: not `str`, `repr`, formatting or serializers. `reveal()` is the value.

    It is no subclass of str, because libraries write those out without asking their `__str__`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a configuration as people see it; `default` is its text, None if the key must be given."""

    name: str
    type: str
    default: str | None


def nearest(word: str, known: Iterable[str]) -> str:
    """How an error text goes on: `did you mean x?` for the nearest known word, or all known ones."""
    candidates = sorted(known)
    near = names.nearest(word.lower(), candidates)
    if near is not None:
        return f"did you mean {near}?"
    return f"there is {', '.join(candidates)}" if candidates else "there is none"


def settings(config: type[PluginConfig]) -> list[Setting]:
    """Every key of a configuration in the order of its definition. Defaults of secrets are not shown."""
    return [
        Setting(name=field.encode_name, type=_type_name(field.type), default=_default_text(field))
        for field in msgspec.structs.fields(config)
    ]


def configure(config: type[ConfigT], options: Mapping[str, Any], *, owner: str) -> ConfigT:
    """The typed configuration of `owner` (`connector files`) from what a script, a file or a flag gave.

    Text is read as the number or boolean that the field asks for; paths become text.

    Raises: ConfigError for the first unknown, missing or unfit key; it never contains a secret.
    """
    known = {field.encode_name: field for field in msgspec.structs.fields(config)}
    has_secrets = any(map(_is_secret, known.values()))
    for key, value in options.items():
        if key not in known:
            shown = Secret("") if has_secrets else value
            raise ConfigError(key, shown, f"{owner} has no such setting; {nearest(key, known)}")
    for name, field in known.items():
        if field.required and name not in options:
            raise ConfigError(name, None, f"{owner} needs a value for it")
    given = {key: _plain_path(known[key], value) for key, value in options.items()}
    for key, value in given.items():
        _check_setting(known[key], value, owner)
    try:
        return msgspec.convert(given, config, strict=False, dec_hook=_convert_special)
    except msgspec.ValidationError as error:
        # The fields fit one by one, so a check over several of them refused.
        raise ConfigError(owner, {key: _shown(known[key], options[key]) for key in options}, str(error)) from None


def _plain_path(field: msgspec.structs.FieldInfo, value: Any) -> Any:
    """A path given to a setting that is text (`schema="a.avsc"` or a dict) becomes text."""
    if isinstance(value, PurePath) and str in (field.type, *get_args(field.type)):
        return str(value)
    return value


def _check_setting(field: msgspec.structs.FieldInfo, value: Any, owner: str) -> None:
    try:
        msgspec.convert(value, field.type, strict=False, dec_hook=_convert_special)
    except msgspec.ValidationError as error:
        reason = f"{owner}: {error}"
    else:
        return
    raise ConfigError(field.encode_name, _shown(field, value), reason)


def _convert_special(wanted: type, value: Any) -> Any:
    if wanted is Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return Secret(value)
        raise ValueError("a secret is text")
    if issubclass(wanted, PurePath) and isinstance(value, str | PurePath):
        return wanted(value)
    if isinstance(value, wanted):
        return value
    raise ValueError(f"expected {wanted.__name__}, got {type(value).__name__}")


def _is_secret(field: msgspec.structs.FieldInfo) -> bool:
    return Secret in (field.type, *get_args(field.type))


def _shown(field: msgspec.structs.FieldInfo, value: Any) -> Any:
    return Secret("") if _is_secret(field) else value


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return re.sub(r"\b[a-z_]+(?:\.[a-z_]+)*\.(?=[A-Z])", "", str(annotation))


def _default_text(field: msgspec.structs.FieldInfo) -> str | None:
    if field.required:
        return None
    has_value = field.default is not msgspec.NODEFAULT
    value = field.default if has_value else field.default_factory()
    return repr(_shown(field, value)) if value is not None else "None"
