"""`mainstem complete SHELL LINE POINT BREAKS`: what could come next in a command line. The scripts of `completion` call it.

Prints one candidate a line, or FILES where a file's name is wanted. Asks the broker for names of topics and groups, but not
for long: whoever presses a key does not wait.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import PurePath

from mainstem.cli.arguments import BOOTSTRAP_SERVER, Asked, Parser
from mainstem.cli.main import ALIASES, COMMANDS
from mainstem.model.errors import MainstemError

FILES = ":files"
NAMES_TIMEOUT_S = 0.3
"""For one connection, and for one answer."""
WITHOUT_PARSER = ("run", "demo")
"""Commands whose words are a script and what that takes."""
TOPIC_FLAGS = ("--topic", "--topic-list", "--topic-partitions", "--include")
GROUP_FLAGS = ("--group", "--group-id")


def main(arguments: Sequence[str]) -> int:
    shell, line, point, breaks = arguments
    words = split(line[: int(point)] if point else line)
    current = words[-1]
    prefix = ""
    if shell == "bash":
        # Bash has split the word at these characters and wants what comes after the last of them.
        prefix = current[: max((current.rfind(letter) for letter in breaks if letter in ":="), default=-1) + 1]
    for candidate in candidates(words):
        print(candidate if candidate == FILES else candidate.removeprefix(prefix))
    return 0


def split(line: str) -> list[str]:
    """Words of an unfinished line; the last is the one that is being typed, empty after a blank."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        # A quote that is still open: what follows it is the word.
        words = line.replace('"', " ").replace("'", " ").split()
    if not words or line[-1:].isspace():
        words.append("")
    return words


def candidates(words: Sequence[str]) -> list[str]:
    """Everything that can stand for the last of `words`, beginning as it does."""
    program = PurePath(words[0]).name
    if program.startswith("kafka-") and len(words) > 1:
        name, rest = program.removeprefix("kafka-").removesuffix(".sh"), list(words[1:])
    elif len(words) > 2:
        name, rest = words[1].removeprefix("kafka-").removesuffix(".sh"), list(words[2:])
    else:
        return _beginning(COMMANDS, words[-1])
    name = ALIASES.get(name, (name,))[0]
    if name in WITHOUT_PARSER:
        return [FILES]
    parser = parser_of(name)
    return _of_command(parser, rest) if parser is not None else []


def parser_of(name: str) -> Parser | None:
    """The flags of a command, from the command itself."""
    if name not in COMMANDS:
        return None
    try:
        import_module(f"mainstem.cli.{name.replace('-', '_')}").main(Asked.ARGUMENTS)
    except Asked as asked:
        return asked.parser
    return None


def _of_command(parser: Parser, words: Sequence[str]) -> list[str]:
    current = words[-1]
    flag, equals, typed = current.partition("=")
    if equals and flag.startswith("-"):
        return [each if each == FILES else f"{flag}={each}" for each in _values(parser, flag, typed, words)]
    if current.startswith("-"):
        used = set(words[:-1])
        return sorted(each for each in _flags(parser) if each.startswith(current) and each not in used)
    before = words[-2] if len(words) > 1 else ""
    action = _action(parser, before)
    if action is not None and action.nargs != 0:
        return _values(parser, before, current, words)
    positional = next((each for each in parser.positionals() if each.choices or each.metavar), None)
    if positional is None:
        return _beginning(_flags(parser), current)
    if positional.choices:
        return _beginning(positional.choices, current) or _beginning(_flags(parser), current)
    return [FILES]


def _flags(parser: Parser) -> list[str]:
    return [flag for action in parser.flags() for flag in action.option_strings if flag.startswith("--")]


def _action(parser: Parser, flag: str) -> argparse.Action | None:
    return next((action for action in parser.flags() if flag in action.option_strings), None)


def _values(parser: Parser, flag: str, typed: str, words: Sequence[str]) -> list[str]:
    action = _action(parser, flag)
    if action is None:
        return []
    if action.dest in parser.suggested:
        return _beginning(parser.suggested[action.dest], typed)
    if flag in TOPIC_FLAGS:
        return _names(words, typed, topics_of)
    if flag in GROUP_FLAGS:
        return _names(words, typed, groups_of)
    if flag == "--bootstrap-server":
        return _beginning([BOOTSTRAP_SERVER], typed)
    return [FILES] if action.metavar in ("FILE", "FILES", "DIR", "PATH") else []


def _names(words: Sequence[str], typed: str, ask: Callable[[str, int], Iterable[str]]) -> list[str]:
    """Names that a broker tells; the last one of a list that commas separate."""
    listed, comma, last = typed.rpartition(",")
    try:
        # Imported late: a flag needs no network.
        from mainstem.client.connection import Connection

        host, port = Connection(bootstrap_servers=_bootstrap(words)).addresses()[0]
        names = ask(host, port)
    except MainstemError:
        return []
    return [f"{listed}{comma}{name}" for name in _beginning(sorted(names), last)]


def _bootstrap(words: Sequence[str]) -> str:
    for number, word in enumerate(words[:-1]):
        if word == "--bootstrap-server":
            return words[number + 1]
        if word.startswith("--bootstrap-server="):
            return word.partition("=")[2]
    return BOOTSTRAP_SERVER


def topics_of(host: str, port: int) -> list[str]:
    """Raises: UnreachableError, RefusedError."""
    from mainstem.client.protocol import ProtocolConnection
    from mainstem.wire.apis import ApiKey
    from mainstem.wire.messages.metadata import MetadataRequest, MetadataResponse

    with ProtocolConnection(host, port, NAMES_TIMEOUT_S) as broker:
        answer = broker.ask(ApiKey.METADATA, MetadataRequest(topics=None, allow_auto_topic_creation=False))
        assert isinstance(answer, MetadataResponse), answer
        return [topic.name for topic in answer.topics if topic.name]


def groups_of(host: str, port: int) -> list[str]:
    """Of the broker that is asked. Raises: UnreachableError, RefusedError."""
    from mainstem.client.protocol import ProtocolConnection
    from mainstem.wire.apis import ApiKey
    from mainstem.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse

    with ProtocolConnection(host, port, NAMES_TIMEOUT_S) as broker:
        answer = broker.ask(ApiKey.LIST_GROUPS, ListGroupsRequest())
        assert isinstance(answer, ListGroupsResponse), answer
        return [group.group_id for group in answer.groups]


def _beginning(words: Iterable[str], typed: str) -> list[str]:
    return [word for word in words if word.startswith(typed)]
