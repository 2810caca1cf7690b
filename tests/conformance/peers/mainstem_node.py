"""Our broker, started as a user starts it: the `broker` command in a process of its own."""

import sys

from peers.node import BrokerNode, free_ports


class MainstemNode(BrokerNode):
    """`mainstem broker` with this interpreter."""

    name = "mainstem"

    def prepare(self) -> list[str]:
        (port,) = free_ports(1)
        self.bootstrap = f"127.0.0.1:{port}"
        settings = {
            "listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": str(self.log_dir),
            "group.initial.rebalance.delay.ms": "0",
            **self.overrides,
        }
        overrides = [part for key, value in settings.items() for part in ("--override", f"{key}={value}")]
        return [sys.executable, "-m", "mainstem.cli.main", "broker", *overrides]
