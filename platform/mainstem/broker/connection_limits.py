"""How many connections may be open: of the broker, and of one address (`max.connections`, `max.connections.per.ip`)."""

from __future__ import annotations

from mainstem.model.configs.broker import BrokerConfig


class ConnectionLimits:
    """Counts what is open. Owned by the dispatcher; the limits are those of the configuration at the time of a question."""

    def __init__(self) -> None:
        self._open = 0
        self._by_host: dict[str, int] = {}

    def opened(self, host: str, config: BrokerConfig) -> str | None:
        """Count one more; returns why it must go again, None if it may stay. `closed` is to be called either way."""
        self._open += 1
        count = self._by_host[host] = self._by_host.get(host, 0) + 1
        if self._open > config.max_connections:
            return "max.connections is reached"
        if count > config.max_connections_per_ip_overrides.get(host, config.max_connections_per_ip):
            return f"max.connections.per.ip is reached by {host}"
        return None

    def closed(self, host: str) -> None:
        self._open -= 1
        left = self._by_host[host] - 1
        if left:
            self._by_host[host] = left
        else:
            del self._by_host[host]
