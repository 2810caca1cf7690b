"""`mainstem broker [-daemon] [server.properties] [--override key=value ...]`. Imports nothing that a broker does not need."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mainstem.app.settings import load_settings
from mainstem.cli.arguments import Parser

LOG_DIR_VARIABLE = "LOG_DIR"
"""Kafka's own: where `kafka-server-start.sh` writes what a broker prints, and here also who runs."""
DAEMON_NAME = "kafkaServer"
EXAMPLES = (
    "mainstem broker                                   listens on localhost:9092, data in ./mainstem-data",
    "mainstem broker server.properties                 Kafka's own configuration file",
    "mainstem broker --override listeners=PLAINTEXT://:9092 --override log.dirs=/var/lib/mainstem",
    "KAFKA_NUM_PARTITIONS=3 mainstem broker            as in Kafka's container images",
    "mainstem broker -daemon server.properties         in the background",
    "mainstem broker --stop                            end what runs in the background",
)


def main(arguments: Sequence[str]) -> int:
    parser = broker_parser()
    options = parser.read(arguments)
    parser.forbid(options, "--stop", ("--daemon", "--properties", "--override"))
    log_dir = os.environ.get(LOG_DIR_VARIABLE)
    if options.stop:
        from mainstem.cli.daemon import stop

        return stop(log_dir, node_id=options.node_id)
    if options.node_id is not None:
        parser.error("--node-id goes with --stop; to start, say --override node.id=...")
    path = Path(options.properties) if options.properties is not None else None
    settings = load_settings(path, os.environ, options.override)
    if options.daemon:
        from mainstem.cli.daemon import start

        return start(log_dir, options.name, path, options.override)
    from mainstem.app.serve import serve

    if log_dir is None:
        return serve(settings)
    from mainstem.cli.pid_files import pid_file

    with pid_file(Path(log_dir), settings.config.node_id) as write:
        return serve(settings, on_started=write)


def broker_parser() -> Parser:
    parser = Parser("broker", "Start a broker in the foreground. SIGTERM or Ctrl-C ends it cleanly.", EXAMPLES)
    parser.add_argument("properties", nargs="?", metavar="server.properties", help="Kafka's configuration file")
    parser.values("--override", "KEY=VALUE", "a setting that goes before file and environment; may be repeated")
    parser.add_argument(
        "-daemon",
        "--daemon",
        action="store_true",
        help=f"start in the background; what it prints goes to ${LOG_DIR_VARIABLE} (default: ./mainstem-logs)",
    )
    parser.add_argument("-name", "--name", default=DAEMON_NAME, help="with -daemon: NAME.out is the file it prints to")
    parser.add_argument("-loggc", "--loggc", action="store_true", help="accepted and without meaning")
    parser.flag("--stop", f"end the brokers that were started in the background, or with ${LOG_DIR_VARIABLE} set")
    parser.value("--node-id", "ID", "with --stop: only the broker of this node.id", kind=int)
    parser.value("--process-role", "ROLE", "with --stop: accepted and without meaning")
    return parser
