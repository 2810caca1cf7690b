"""What commands that talk to a cluster share: where it is, and how a failure is told."""

from __future__ import annotations

import argparse

from mainstem.cli.arguments import properties_file
from mainstem.client.admin import Admin
from mainstem.client.cluster import API_TIMEOUT_S
from mainstem.client.connection import Connection


def connection_of(options: argparse.Namespace) -> Connection:
    """From `--bootstrap-server` and `--command-config`. Raises: ConfigError."""
    return Connection(bootstrap_servers=options.bootstrap_server, properties=properties_file(options.command_config))


def connected(options: argparse.Namespace, api_timeout_s: float = API_TIMEOUT_S) -> Admin:
    """Raises: UnreachableError, RefusedError, ConfigError."""
    return Admin.connect(connection_of(options), api_timeout_s)
