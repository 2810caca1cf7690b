"""The scripts that `install-scripts` writes: Kafka's names, our commands."""

from __future__ import annotations

import shlex

MARK = "written by `mainstem install-scripts`"
"""Stands in every script, so that another file of the name is not overwritten."""

TOOLS = (
    "broker-api-versions",
    "cluster",
    "configs",
    "console-consumer",
    "console-producer",
    "consumer-groups",
    "consumer-perf-test",
    "delete-records",
    "dump-log",
    "features",
    "get-offsets",
    "groups",
    "leader-election",
    "log-dirs",
    "producer-perf-test",
    "reassign-partitions",
    "storage",
    "topics",
    "transactions",
    "verifiable-consumer",
    "verifiable-producer",
)
"""`kafka-<tool>.sh` is the command of this name."""

CLASSES = {
    "BrokerApiVersionsCommand": "broker-api-versions",
    "ClusterTool": "cluster",
    "ConfigCommand": "configs",
    "ConsoleConsumer": "console-consumer",
    "ConsoleProducer": "console-producer",
    "ConsumerGroupCommand": "consumer-groups",
    "ConsumerPerformance": "consumer-perf-test",
    "DeleteRecordsCommand": "delete-records",
    "DumpLogSegments": "dump-log",
    "FeatureCommand": "features",
    "GetOffsetShell": "get-offsets",
    "GroupsCommand": "groups",
    "Kafka": "broker",
    "LeaderElectionCommand": "leader-election",
    "LogDirsCommand": "log-dirs",
    "ProducerPerformance": "producer-perf-test",
    "ReassignPartitionsCommand": "reassign-partitions",
    "StorageTool": "storage",
    "TopicCommand": "topics",
    "TransactionsCommand": "transactions",
    "VerifiableConsumer": "verifiable-consumer",
    "VerifiableProducer": "verifiable-producer",
}
"""Commands by the classes that `kafka-run-class.sh` is called with."""

NO_ZOOKEEPER = (
    "There is nothing to start: this broker keeps its metadata itself, as Kafka has done without ZooKeeper since 4.0.",
    "Go on with: kafka-server-start.sh config/server.properties",
)
INSTEAD = {
    "zookeeper-server-start.sh": (0, NO_ZOOKEEPER),
    "zookeeper-server-stop.sh": (0, ("There is nothing to stop: this broker needs no ZooKeeper.",)),
    "zookeeper-shell.sh": (1, ("There is no ZooKeeper: `mainstem topics --list` shows topics, and so on.",)),
    "connect-standalone.sh": (1, ("Kafka Connect is a program of its own: Kafka's works with this broker unchanged.",)),
    "connect-distributed.sh": (
        1,
        ("Kafka Connect is a program of its own: Kafka's works with this broker unchanged.",),
    ),
    "kafka-acls.sh": (1, ("There is no authorizer here yet: every client may do everything.",)),
    "kafka-metadata-quorum.sh": (
        1,
        ("There is no KRaft quorum here: `mainstem cluster list-endpoints` shows brokers.",),
    ),
}
"""What the scripts of other programs say, and the status they end with."""


def scripts(python: str, to_base: str) -> dict[str, str]:
    """Texts by file name. `python` runs mainstem; `to_base` leads from the scripts' folder to that of config and logs."""
    run = f'"${{MAINSTEM_PYTHON:-{_inside_quotes(python)}}}" -m mainstem.cli.main'
    found = {f"kafka-{tool}.sh": _script(f'exec {run} {tool} "$@"') for tool in TOOLS}
    found["kafka-server-start.sh"] = _script(*_log_dir(to_base), *_USAGE, f'exec {run} broker "$@"')
    found["kafka-server-stop.sh"] = _script(*_log_dir(to_base), f'exec {run} broker --stop "$@"')
    found["kafka-run-class.sh"] = _script(*_run_class(run))
    for name, (status, lines) in INSTEAD.items():
        found[name] = _script(*(f"echo {shlex.quote(line)}" for line in lines), f"exit {status}")
    return found


def _script(*lines: str) -> str:
    return "\n".join(["#!/bin/sh", f"# {MARK}", *lines, ""])


def _inside_quotes(text: str) -> str:
    """For a default value within double quotes of a shell."""
    return "".join(f"\\{letter}" if letter in '\\"$`}' else letter for letter in text)


def _log_dir(to_base: str) -> tuple[str, ...]:
    return (
        f'base_dir=$(cd "$(dirname "$0")/{to_base}" && pwd)',
        ': "${LOG_DIR:=$base_dir/logs}"',
        "export LOG_DIR",
    )


_USAGE = (
    "if [ $# -lt 1 ]; then",
    '  echo "USAGE: $0 [-daemon] server.properties [--override property=value]*"',
    "  exit 1",
    "fi",
)


def _run_class(run: str) -> tuple[str, ...]:
    """The class's name may have any package: Kafka has moved its tools more than once."""
    cases = [f"  {name}) command={command} ;;" for name, command in CLASSES.items()]
    return (
        "if [ $# -lt 1 ]; then",
        '  echo "USAGE: $0 [-daemon] [-name servicename] [-loggc] classname [opts]"',
        "  exit 1",
        "fi",
        "case ${1##*.} in",
        *cases,
        '  *) echo "$1 is not one of the classes that mainstem has a command for" >&2; exit 1 ;;',
        "esac",
        "shift",
        f'exec {run} $command "$@"',
    )


def server_properties(data: str) -> str:
    return f"""# One broker on this machine. {MARK.capitalize()}; yours to change.
node.id=1
listeners=PLAINTEXT://:9092
advertised.listeners=PLAINTEXT://localhost:9092
log.dirs={data}
num.partitions=1
log.retention.hours=168
"""


CLIENT_PROPERTIES = f"""# Client properties for the command line tools. {MARK.capitalize()}; yours to change.
bootstrap.servers=localhost:9092
"""
