"""Reading a command line as Kafka's tools do: long flags, `--flag value` or `--flag=value`, no abbreviations."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from mainstem.model.configs.nearest import nearest
from mainstem.model.errors import ConfigError, MainstemError

BOOTSTRAP_SERVER = "localhost:9092"
"""Where `mainstem broker` listens when it is told nothing. Kafka's tools insist on the flag."""
KAFKA_VERSION = "4.1.0"
"""Whose tools these are like."""


class UsageError(Exception):
    """A command line that makes no sense. `main` prints it with a hint and ends with status 1, as Kafka's tools do."""

    def __init__(self, parser: Parser, message: str) -> None:
        super().__init__(message)
        self.parser = parser
        self.message = message


class Asked(Exception):
    """Somebody wants to know a command's flags and gave ARGUMENTS instead of words: see `mainstem.cli.complete`."""

    ARGUMENTS: ClassVar[tuple[str, ...]] = ("\0asked",)

    def __init__(self, parser: Parser) -> None:
        super().__init__()
        self.parser = parser


class CommandError(MainstemError):
    """Something that the command itself finds wrong. `main` prints the text as it is and ends with status 1."""


class ShowVersion(argparse.Action):
    """`--version` of Kafka's tools: the first word is the version of Kafka whose tool this is like."""

    def __init__(self, option_strings: Sequence[str], dest: str, **rest: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=rest.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        from importlib.metadata import version

        print(f"{KAFKA_VERSION} (mainstem {version('mainstem')})")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """One command's flags. `examples` are whole command lines, shown by `--help`."""

    def __init__(self, command: str, description: str, examples: Sequence[str] = ()) -> None:
        epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples) if examples else None
        super().__init__(
            prog=f"mainstem {command}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.suggested: dict[str, tuple[str, ...]] = {}
        self.add_argument("--version", action=ShowVersion, help="print which Kafka this is like, and its own version")

    def flag(self, name: str, help_text: str) -> None:
        """A flag without a value."""
        self.add_argument(name, action="store_true", help=help_text)

    def value(self, name: str, metavar: str, help_text: str, *, kind: type = str, default: object = None) -> None:
        self.add_argument(name, dest=field(name), metavar=metavar, type=kind, default=default, help=help_text)

    def choice(
        self,
        name: str,
        metavar: str,
        help_text: str,
        allowed: Sequence[str],
        *,
        default: str | None = None,
        is_checked: bool = True,
    ) -> None:
        """A flag whose values can be listed: they stand in the help, and a shell completes them.

        `is_checked`: others are refused here; otherwise the command has its own words for them.
        """
        text = f"{help_text}: {', '.join(allowed)}" + (f" (default: {default})" if default else "")
        added = self.add_argument(name, dest=field(name), metavar=metavar, default=default, help=text)
        self.suggested[added.dest] = tuple(allowed)
        if is_checked:
            added.choices = tuple(allowed)

    def action(self, actions: Mapping[str, str]) -> None:
        """The command's first word, for tools that have one: `options.action`. Each with what it is for."""
        text = "; ".join(f"{name}: {purpose}" for name, purpose in actions.items())

        def known(word: str) -> str:
            if word not in actions:
                near = nearest(word, actions)
                hint = f"did you mean {near}?" if near else f"there are {', '.join(actions)}"
                self.error(f"there is no action {word}; {hint}")
            return word

        self.add_argument("action", metavar="ACTION", type=known, choices=tuple(actions), help=text)

    def values(self, name: str, metavar: str, help_text: str) -> None:
        """A flag that may be repeated."""
        self.add_argument(name, metavar=metavar, action="append", default=[], help=help_text)

    def connection(self) -> None:
        """The flags of every command that talks to a cluster."""
        self.value(
            "--bootstrap-server",
            "HOST:PORT",
            f"the broker or brokers to connect to, separated by commas (default: {BOOTSTRAP_SERVER})",
            default=BOOTSTRAP_SERVER,
        )
        self.value("--command-config", "FILE", "a properties file for the client")

    def many(self, name: str, metavar: str, help_text: str) -> None:
        """A flag that takes every word up to the next flag, as argparse4j's do."""
        self.add_argument(
            name, dest=field(name), metavar=metavar, nargs="+", action="extend", default=[], help=help_text
        )

    def error(self, message: str) -> NoReturn:
        actions = next((argument.choices for argument in self.positionals() if argument.dest == "action"), None)
        if actions and message == "the following arguments are required: ACTION":
            message = f"{self.prog} needs an action: {', '.join(actions)}"
        raise UsageError(self, message)

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Raises: UsageError, suggesting the near flag for an unknown one; SystemExit(0) after `--help`; Asked."""
        if tuple(arguments) == Asked.ARGUMENTS:
            raise Asked(self)
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            self.error(self._unknown(unknown[0]))
        return options

    def _unknown(self, argument: str) -> str:
        name = argument.partition("=")[0]
        if not name.startswith("-"):
            return f"{argument} is not expected here"
        if name in _GONE:
            return f"{name} is not a recognized option since Kafka {_GONE[name]}; say --bootstrap-server HOST:PORT"
        flags = [flag for action in self._actions for flag in action.option_strings]
        near = nearest(name, flags)
        return f"{name} is not a recognized option" + (f"; did you mean {near}?" if near else "")

    def flags(self) -> list[argparse.Action]:
        return [action for action in self._actions if action.option_strings]

    def positionals(self) -> list[argparse.Action]:
        return [action for action in self._actions if not action.option_strings]

    def require(self, options: argparse.Namespace, *names: str) -> None:
        """Raises: UsageError."""
        for name in names:
            if not given(options, name):
                self.error(f'Missing required argument "[{name.removeprefix("--")}]"')

    def exactly_one(self, options: argparse.Namespace, names: Sequence[str]) -> str:
        """The one action that is asked for.

        Raises: UsageError.
        """
        chosen = [name for name in names if given(options, name)]
        if len(chosen) != 1:
            self.error(f"Command must include exactly one action: {_listed(names)}")
        return chosen[0]

    def only(self, options: argparse.Namespace, action: str, allowed: Mapping[str, Sequence[str]]) -> None:
        """`allowed` names for each flag the actions it belongs to.

        Raises: UsageError for a flag that does not belong to `action`.
        """
        for name, actions in allowed.items():
            if given(options, name) and action not in actions:
                self.error(f'Option "{name}" can\'t be used with option "{action}"')

    def forbid(self, options: argparse.Namespace, name: str, others: Iterable[str]) -> None:
        """Raises: UsageError if `name` is used with one of `others`."""
        if given(options, name):
            for other in others:
                if other != name and given(options, other):
                    self.error(f'Option "{name}" can\'t be used with option "{other}"')


_GONE = {"--zookeeper": "3.0", "--broker-list": "3.0"}
"""Flags of old tutorials, and the release that did without them."""


def field(flag: str) -> str:
    """The attribute that holds a flag's value: `--consumer.config` is `consumer_config`."""
    return flag.removeprefix("--").replace("-", "_").replace(".", "_")


def given(options: argparse.Namespace, name: str) -> bool:
    """Whether a flag is on the command line."""
    value = getattr(options, field(name))
    return value is not None and value is not False and value != []


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def key_values(pairs: Iterable[str]) -> dict[str, str]:
    """`key=value` arguments; one without a value is empty, as in Kafka's tools."""
    found = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        found[key.strip()] = value
    return found


def properties_file(path: str | None) -> dict[str, str]:
    """Raises: ConfigError."""
    if path is None:
        return {}
    from mainstem.app.settings import read_properties

    return read_properties(Path(path))


def whole_number(key: str, text: str) -> int:
    """Raises: ConfigError."""
    try:
        return int(text)
    except ValueError:
        raise ConfigError(key, text, "a whole number is needed") from None
