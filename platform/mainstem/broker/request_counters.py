"""What the broker counts per request. Plain integers, read by telemetry at scrape time."""

from __future__ import annotations

from bisect import bisect_left

LATENCY_BUCKETS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30000)


class ApiCounters:
    """Of one API. `latency_buckets` are not cumulative: one slot per bucket of LATENCY_BUCKETS_MS and one for the rest."""

    __slots__ = ("errors", "latency_buckets", "requests", "total_time_ms")

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.total_time_ms = 0.0
        self.latency_buckets = [0] * (len(LATENCY_BUCKETS_MS) + 1)

    def record(self, duration_ms: float, count: int = 1) -> None:
        """`count` requests that were answered together, each after `duration_ms`."""
        self.requests += count
        self.total_time_ms += duration_ms * count
        self.latency_buckets[bisect_left(LATENCY_BUCKETS_MS, duration_ms)] += count

    def record_at_once(self, count: int) -> None:
        """`count` requests that were answered as soon as they were read."""
        self.requests += count
        self.latency_buckets[0] += count


class RequestCounters:
    """Of the whole broker."""

    __slots__ = ("apis", "connections", "connections_total", "malformed_requests")

    def __init__(self) -> None:
        self.apis: dict[int, ApiCounters] = {}
        self.connections = 0
        self.connections_total = 0
        self.malformed_requests = 0

    def of(self, api_key: int) -> ApiCounters:
        counters = self.apis.get(api_key)
        if counters is None:
            counters = self.apis[api_key] = ApiCounters()
        return counters
