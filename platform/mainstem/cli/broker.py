"""`mainstem broker [server.properties] [--override key=value ...]`. Imports nothing that a broker does not need."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mainstem.app.settings import load_settings
from mainstem.cli.arguments import Parser

EXAMPLES = (
    "mainstem broker                                   listens on localhost:9092, data in ./mainstem-data",
    "mainstem broker server.properties                 Kafka's own configuration file",
    "mainstem broker --override listeners=PLAINTEXT://:9092 --override log.dirs=/var/lib/mainstem",
    "KAFKA_NUM_PARTITIONS=3 mainstem broker            as in Kafka's container images",
)


def main(arguments: Sequence[str]) -> int:
    parser = Parser("broker", "Start a broker in the foreground. SIGTERM or Ctrl-C ends it cleanly.", EXAMPLES)
    parser.add_argument("properties", nargs="?", metavar="server.properties", help="Kafka's configuration file")
    parser.values("--override", "KEY=VALUE", "a setting that goes before file and environment; may be repeated")
    options = parser.read(arguments)
    path = Path(options.properties) if options.properties is not None else None
    settings = load_settings(path, os.environ, options.override)
    from mainstem.app.serve import serve

    return serve(settings)
