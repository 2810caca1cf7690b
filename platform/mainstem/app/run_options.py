"""What a run of pipelines can be told: by the arguments of `run`, and by flags on the command line, which go before them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from mainstem.model.configs.nearest import suggestion
from mainstem.model.errors import ConfigError

EMBEDDED = "embedded"
DATA = Path("mainstem-data")
WORKERS_MAX = 256
MEMORY = "memory"
COMMIT_INTERVAL_MS, EXACTLY_ONCE_INTERVAL_MS = 1_000, 100
EXAMPLES = (
    ("--once", "a broker in this process; end when the topics are read"),
    ("--broker kafka://host:9092 --exactly-once", "on a Kafka cluster"),
    ("--reload --reload-dir ../models", "while you write it: starts again when code changes"),
    ("--workers 4 --log-format json", "in four processes, whose logs a machine reads"),
)
"""Flags and what they are good for, as `--help` shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """`broker`: the URL of a transport (docs/transports.md). `data`: where the embedded broker keeps its records.
    `broker_config`: a file of client properties for `kafka://` (docs/kafka-clusters.md).

    `metrics_port` serves `/metrics`. `once`: take topics as they are now, and end; pipelines that read what another one
    writes wait for it. `exactly_once`: results and positions in one transaction, for topics on both sides. `workers`: so many
    processes share the work. `state`: `memory`, or the name of a plugin that keeps it on disk, such as `rocksdb`.
    `commit_interval_ms`: from one checkpoint to the next; None: a second, and a tenth of one with `exactly_once`, because results
    can be seen only then (Kafka Streams' `commit.interval.ms` does the same). `log_level` and `log_format`: as
    `telemetry.logs.configure`. `reload`: the script runs in a process of its own
    that is started again when a file below its folder, or below one of `reload_dirs`, changes.
    """

    broker: str = "embedded://"
    broker_config: Path | None = None
    data: Path = DATA
    metrics_port: int | None = None
    once: bool = False
    exactly_once: bool = False
    workers: int = 1
    state: str = MEMORY
    commit_interval_ms: int | None = None
    log_level: str | None = None
    log_format: str | None = None
    reload: bool = False
    reload_dirs: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65_535:
            raise ConfigError("metrics-port", self.metrics_port, "a port is a number from 0 to 65535")
        if not 1 <= self.workers <= WORKERS_MAX:
            raise ConfigError("workers", self.workers, f"a number of processes from 1 to {WORKERS_MAX}")
        if self.reload_dirs and not self.reload:
            raise ConfigError(
                "reload-dir", ", ".join(map(str, self.reload_dirs)), "it says what --reload watches; give both"
            )
        if self.commit_interval_ms is not None and self.commit_interval_ms < 1:
            raise ConfigError("commit-interval-ms", self.commit_interval_ms, "a number of milliseconds from 1 on")

    @property
    def effective_commit_interval_ms(self) -> int:
        if self.commit_interval_ms is not None:
            return self.commit_interval_ms
        return EXACTLY_ONCE_INTERVAL_MS if self.exactly_once else COMMIT_INTERVAL_MS

    def check_transactions(self, transactions: str | None) -> None:
        """`transactions`: those of the transport (`TransportTraits`). Raises: ConfigError."""
        if self.exactly_once and transactions is None:
            scheme = self.broker_parts[0]
            raise ConfigError(
                "exactly-once", True, f"{scheme}:// has no transactions: leave it out, or use kafka:// or embedded://"
            )

    @property
    def is_embedded(self) -> bool:
        return self.broker_parts[0] == EMBEDDED

    @property
    def broker_parts(self) -> tuple[str, str, dict[str, str]]:
        """Scheme, address, and the settings after `?`. Raises: ConfigError."""
        scheme, mark, rest = self.broker.partition("://")
        if not mark:
            raise ConfigError(
                "broker", self.broker, "it looks like embedded://, kafka://host:port or redis://host:port/0"
            )
        address, _, query = rest.partition("?")
        return scheme, address, dict(parse_qsl(query, keep_blank_values=True))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError("arguments", self.prog, message)


def parser(program: str) -> argparse.ArgumentParser:
    width = max(len(flags) for flags, _ in EXAMPLES)
    made = _Parser(
        prog=program,
        description="Run the pipelines of this script.",
        epilog="\n".join(["examples:", *(f"  {program} {flags:<{width}}  {what}" for flags, what in EXAMPLES)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    made.add_argument(
        "--broker",
        metavar="URL",
        help="embedded:// (default, a broker in this process), kafka://, redis://, nats:// and host:port",
    )
    made.add_argument(
        "--broker-config",
        metavar="FILE",
        type=Path,
        help="client properties of the cluster (sasl.jaas.config, ssl.truststore.location, ...) in Kafka's or librdkafka's names",
    )
    made.add_argument(
        "--data", metavar="DIR", type=Path, help=f"where the embedded broker keeps its records (default: {DATA})"
    )
    made.add_argument(
        "--metrics-port",
        metavar="N",
        type=int,
        help="serve /metrics, and state by key at /pipelines, on this port of 127.0.0.1",
    )
    made.add_argument(
        "--exactly-once",
        action="store_true",
        help="results, state and positions in one transaction (topics on both sides)",
    )
    made.add_argument(
        "--state",
        metavar="NAME",
        help="where state by key is kept: memory (default), or rocksdb in the data directory",
    )
    made.add_argument(
        "--workers", metavar="N", type=int, help="share the work among N processes (default: 1, this one)"
    )
    made.add_argument(
        "--commit-interval-ms",
        metavar="N",
        type=int,
        help="from one checkpoint to the next (default: 1000; 100 with --exactly-once, whose results are seen only then)",
    )
    made.add_argument("--once", action="store_true", help="take topics as they are now, and end")
    _add_log_flags(made)
    _add_reload_flags(made)
    return made


def _add_log_flags(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--log-level",
        metavar="LEVEL",
        help="debug, info, warning (default) or error; MAINSTEM_LOG_LEVEL says the same",
    )
    made.add_argument(
        "--log-format",
        metavar="FORMAT",
        help="console (default), or json: one object a line, nothing else; MAINSTEM_LOG_FORMAT says the same",
    )


def _add_reload_flags(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--reload",
        action="store_true",
        help="for development: end with a checkpoint and start again when a file below the script's folder changes",
    )
    made.add_argument(
        "--reload-dir",
        metavar="DIR",
        type=Path,
        action="append",
        dest="reload_dirs",
        help="with --reload: watch this folder too; may be given several times",
    )


def from_flags(base: RunOptions, program: str, arguments: Sequence[str]) -> RunOptions:
    """`base` changed by a command line. Raises: ConfigError naming the flag; SystemExit after `--help`."""
    reader = parser(program)
    known, unknown = reader.parse_known_args(list(arguments))
    if unknown:
        name = unknown[0].partition("=")[0]
        flags = [flag for action in reader._actions for flag in action.option_strings]
        what = f"there is no such flag{suggestion(name, flags)}" if name.startswith("-") else "it is not expected here"
        raise ConfigError("arguments", unknown[0], what)
    return from_arguments(base, vars(known))


def from_arguments(base: RunOptions, given: dict[str, Any]) -> RunOptions:
    """`base` changed by what is given and not None."""
    names = {field.name for field in fields(RunOptions)}
    if "reload_dirs" in given:
        given = {**given, "reload_dirs": tuple(given["reload_dirs"])}
    return replace(base, **{name: value for name, value in given.items() if name in names and value is not None})
