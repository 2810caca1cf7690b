"""The command line: `mainstem <command> …`. A command's module is imported when it is asked for, and only that.

`mainstem kafka-topics.sh …` is `mainstem topics …`: scripts written for Kafka's tools need one word more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from mainstem.cli.arguments import CommandError, UsageError
from mainstem.model.errors import MainstemError

COMMANDS = {
    "broker": "start a broker, in the foreground or with -daemon; stop one",
    "topics": "create, list, describe, widen and delete topics",
    "configs": "describe and change configurations of topics, brokers and groups",
    "console-producer": "send lines of standard input to a topic",
    "console-consumer": "print the records of a topic",
    "consumer-groups": "list and describe consumer groups, reset and forget their offsets, delete them",
    "groups": "list groups of all kinds",
    "get-offsets": "print where partitions end or begin, or where a time is",
    "delete-records": "delete the records before an offset",
    "log-dirs": "print which folders of a broker hold what, and how much",
    "dump-log": "print and check files of a log directory",
    "transactions": "list and describe transactions, find and end those that hang",
    "leader-election": "let the preferred replicas lead again",
    "reassign-partitions": "move partitions between brokers",
    "broker-api-versions": "print which requests a broker answers, and in which versions",
    "cluster": "print the cluster's id and endpoints",
    "features": "describe, raise and lower the features of a cluster",
    "producer-perf-test": "measure how fast records can be sent",
    "consumer-perf-test": "measure how fast records can be read",
    "verifiable-producer": "send numbers, and say as JSON which were acknowledged",
    "verifiable-consumer": "read records, and say as JSON what came and was committed",
    "storage": "make ids for clusters; format a log directory",
    "run": "run the pipelines of a script",
    "validate": "check the pipelines of a script without starting anything",
    "graph": "draw the pipelines of a script",
    "offsets": "print and move where a stopped pipeline reads on",
    "state": "look at the state of pipelines, or let it begin anew",
    "dlq": "list dead letters, and send them back",
    "demo": "stream a month of real flights through an embedded broker",
    "plugins": "list the installed plugins and their settings",
    "install-scripts": "write kafka-topics.sh and its like, which call these commands",
    "completion": "print what a shell needs to complete these commands",
}
"""Every command for people and what it is for. `console-producer` lives in `mainstem.cli.console_producer`."""

ALIASES = {"server-start": ("broker",), "server-stop": ("broker", "--stop")}
"""Kafka's names of scripts that are not those of commands, without `kafka-` and `.sh`."""
UNLISTED = ("complete",)
"""Commands that shells call."""
EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the status of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if given else EXIT_FAILURE
    if given[0] in ("-V", "--version", "version"):
        from importlib.metadata import version

        print(f"mainstem {version('mainstem')}")
        return 0
    name = given[0].removeprefix("kafka-").removesuffix(".sh")
    name, *implied = ALIASES.get(name, (name,))
    if name not in COMMANDS and name not in UNLISTED:
        from mainstem.model.configs.nearest import suggestion

        print(f"mainstem: there is no command {given[0]}{suggestion(name, COMMANDS)}", file=sys.stderr)
        print("`mainstem --help` lists the commands", file=sys.stderr)
        return EXIT_FAILURE
    command: Callable[[Sequence[str]], int] = import_module(f"mainstem.cli.{name.replace('-', '_')}").main
    return run(name, command, [*implied, *given[1:]])


def run(name: str, command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Failures that have a name become a sentence on standard error; others are bugs and show where they are."""
    try:
        return command(arguments)
    except UsageError as error:
        print(f"{error.message}\n`mainstem {name} --help` explains the options", file=sys.stderr)
        return EXIT_FAILURE
    except CommandError as error:
        print(error, file=sys.stderr)
        return EXIT_FAILURE
    except MainstemError as error:
        print(f"mainstem {name}: {error}{_advice(error)}", file=sys.stderr)
        return EXIT_FAILURE
    except SystemExit as done:  # argparse ends this way after --help
        return int(done.code or 0)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        from mainstem.cli.output import closed_pipe

        return closed_pipe()


def _advice(error: MainstemError) -> str:
    """What a person can do about it, where the error knows."""
    advice = getattr(error, "advice", None)
    return f"\n{advice}" if advice else ""


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mainstem <command> [options]",
            "",
            "A Kafka broker and stream pipelines in Python.",
            "",
            "commands:",
            *lines,
            "",
            "`mainstem <command> --help` explains one. The flags are those of Kafka's tools: kafka-topics.sh is",
            "`mainstem topics`, and so on.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
