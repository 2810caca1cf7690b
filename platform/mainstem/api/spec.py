"""What all plugin descriptors share: a name and a typed configuration."""

from __future__ import annotations

import msgspec


class PluginConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every plugin's configuration. Fields with defaults are optional; unknown keys are errors.

    A field of type `Secret` is never shown in logs, errors or `mainstem plugins`.
    """


class Secret(str):
    """A string whose `repr` and format do not show it. `reveal()` is the value."""

    __slots__ = ()

    def reveal(self) -> str:
        return str.__str__(self)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __format__(self, spec: str) -> str:
        return "***"
