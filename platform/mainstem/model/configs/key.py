"""One row of a configuration table: how its text is read, checked and shown again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from mainstem.model.errors import ConfigError

Value = bool | int | float | str | tuple[str, ...] | None


class ConfigType(IntEnum):
    """The numbers are those of DescribeConfigs (KIP-226)."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class ConfigSource(IntEnum):
    """Where an effective value comes from. The numbers are those of DescribeConfigs (KIP-226, KIP-714, KIP-1000)."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    BROKER_LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


_BITS = {ConfigType.SHORT: 16, ConfigType.INT: 32, ConfigType.LONG: 64}


class Allowed(Protocol):
    """What a value may be, beyond its type. `words` completes the sentence "… is not valid: "."""

    @property
    def words(self) -> str: ...

    def accepts(self, value: Value) -> bool: ...


@dataclass(frozen=True, slots=True)
class Between:
    """A number within bounds, both included; None leaves a side open. `besides` are extra values."""

    low: float | None
    high: float | None = None
    besides: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        extra = "".join(f", or {number}" for number in self.besides)
        if self.high is None:
            return f"a number of at least {self.low}{extra}"
        return f"a number from {self.low} to {self.high}{extra}"

    def accepts(self, value: Value) -> bool:
        assert isinstance(value, (int, float))
        if value in self.besides:
            return True
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def at_least(low: float) -> Between:
    return Between(low)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A word out of a few; of a list, every element."""

    choices: tuple[str, ...]

    @property
    def words(self) -> str:
        return f"one of {', '.join(self.choices)}"

    def accepts(self, value: Value) -> bool:
        if isinstance(value, tuple):
            return all(element in self.choices for element in value)
        return value in self.choices


def one_of(*choices: str) -> OneOf:
    return OneOf(choices)


@dataclass(frozen=True, slots=True)
class NotEmpty:
    @property
    def words(self) -> str:
        return "must not be empty"

    def accepts(self, value: Value) -> bool:
        return bool(value)


class ThrottledReplicas:
    """`*`, or `partition:broker` pairs. Source: Kafka's `ThrottledReplicaListValidator`."""

    words = "'*', or a list of partition:broker pairs such as 0:1,1:2"

    def accepts(self, value: Value) -> bool:
        assert isinstance(value, tuple)
        if value == ("*",):
            return True
        return all(_is_pair_of_numbers(element) for element in value)


def _is_pair_of_numbers(text: str) -> bool:
    partition, colon, broker = text.partition(":")
    return bool(colon) and partition.isdecimal() and broker.isdecimal()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigKey:
    """`default` is the text Kafka shows (None: no default). `synonyms` are asked after this key, in order.

    `in_effect` is False for keys that are only known, so that no configuration file of Kafka is refused.
    """

    name: str
    type: ConfigType
    default: str | None
    doc: str
    allowed: Allowed | None = None
    synonyms: tuple[str, ...] = ()
    read_only: bool = False
    in_effect: bool = True

    @property
    def attribute(self) -> str:
        """The name of this key in a typed view."""
        return self.name.replace(".", "_")

    @property
    def is_sensitive(self) -> bool:
        return self.type is ConfigType.PASSWORD

    def parse(self, text: str) -> Value:
        """Raises: ConfigError, naming the key, the value and what is allowed."""
        text = text.strip()
        value = self._read(text)
        if self.allowed is not None and not self.allowed.accepts(value):
            raise self._refusal(text, self.allowed.words)
        return value

    def _read(self, text: str) -> Value:
        match self.type:
            case ConfigType.BOOLEAN:
                if text.lower() not in ("true", "false"):
                    raise self._refusal(text, "true or false")
                return text.lower() == "true"
            case ConfigType.SHORT | ConfigType.INT | ConfigType.LONG:
                return self._read_whole_number(text, _BITS[self.type])
            case ConfigType.DOUBLE:
                try:
                    return float(text)
                except ValueError:
                    raise self._refusal(text, "a number") from None
            case ConfigType.LIST:
                return split_list(text)
            case _:
                return text

    def _read_whole_number(self, text: str, bits: int) -> int:
        try:
            # `int` alone would take "1_000" and digits of other scripts, which no other tool does.
            if not text.isascii() or "_" in text:
                raise ValueError
            number = int(text)
        except ValueError:
            words = self.allowed.words if self.allowed is not None else "a whole number"
            raise self._refusal(text, words) from None
        if not -(1 << bits - 1) <= number < 1 << bits - 1:
            raise self._refusal(text, f"a whole number of {bits} bits")
        return number

    def _refusal(self, text: str, allowed: str) -> ConfigError:
        return ConfigError(self.name, "(hidden)" if self.is_sensitive else text, allowed)

    def default_value(self) -> Value:
        return None if self.default is None else self._read(self.default)


def show(value: Value) -> str | None:
    """The text of a value, as DescribeConfigs carries it. Source: Kafka's `ConfigDef.convertToString`."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case tuple():
            return ",".join(value)
        case _:
            return str(value)


def split_list(text: str) -> tuple[str, ...]:
    """Elements of a comma-separated list without the blanks around them; the empty text is the empty list."""
    return tuple(element.strip() for element in text.split(",")) if text else ()


def table(rows: Iterable[ConfigKey]) -> Mapping[str, ConfigKey]:
    """Rows by name, in their order."""
    keys: dict[str, ConfigKey] = {}
    for row in rows:
        assert row.name not in keys, f"two rows for {row.name}"
        keys[row.name] = row
    return keys
