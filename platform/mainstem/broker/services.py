"""Everything a handler may touch. Made by `app.compose_broker`, shared by all connections of one broker."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

from mainstem.api.context import Clock, Log
from mainstem.broker.context import RequestContext
from mainstem.broker.memory import Memory
from mainstem.broker.request_counters import RequestCounters
from mainstem.core.fetch.session import FetchSessions
from mainstem.model.cluster import Endpoint
from mainstem.model.configs.broker import BrokerConfig
from mainstem.runtime.groups import Groups
from mainstem.runtime.metadata import Metadata
from mainstem.runtime.partitions import Partitions
from mainstem.runtime.producer_ids import ProducerIds
from mainstem.runtime.transaction_markers import MarkerPort
from mainstem.runtime.transaction_verification import TransactionVerifier
from mainstem.runtime.transactions import Transactions
from mainstem.telemetry.loggers import Loggers


@dataclass(slots=True, kw_only=True)
class Services:
    broker_id: int
    cluster_id: str
    config: BrokerConfig
    clock: Clock
    log: Log
    loggers: Loggers
    metadata: Metadata
    partitions: Partitions
    groups: Groups
    producer_ids: ProducerIds
    transactions: Transactions
    transaction_verifier: TransactionVerifier
    markers: MarkerPort
    executor: Executor
    served_versions: Mapping[int, tuple[int, int]]
    fetch_sessions: FetchSessions
    memory: Memory = field(default_factory=Memory)
    counters: RequestCounters = field(default_factory=RequestCounters)

    def endpoint_of(self, broker_id: int, context: RequestContext) -> tuple[str, int] | None:
        """Where a client of that listener reaches the broker; None if it is not alive or has no such listener.

        An advertised port of 0 (a listener bound to any free port) and an unspecified advertised host are answered with the
        local address that the client itself reached.
        """
        registration = self.metadata.image.brokers.get(broker_id)
        if registration is None:
            return None
        for endpoint in registration.endpoints:
            if endpoint.listener == context.listener:
                return _reachable(endpoint, context)
        return None


def _reachable(endpoint: Endpoint, context: RequestContext) -> tuple[str, int]:
    host = endpoint.host if endpoint.host not in ("", "0.0.0.0", "::") else context.local_host
    return host, endpoint.port or context.local_port
