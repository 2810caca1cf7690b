"""What happens to a record that a stage cannot take: retry it, then stop, skip it, or set it aside.

    .map(enrich, on_error=Retry(5, backoff="200ms", then=Dlq("orders-dead")))

Without a policy a pipeline stops and acknowledges nothing of what it was at.
"""

from __future__ import annotations

from dataclasses import dataclass

from mainstem.pipeline.plan.windows import duration_ms

BACKOFF_MAX_MS = 60_000


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run. The record is read again at the next start."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Drop the record and count it (`mainstem_pipeline_skipped_records_total`)."""


@dataclass(frozen=True, slots=True)
class Dlq:
    """Write the record as it was read, with the cause in its headers, to a topic of dead letters; then go on.

    `mainstem dlq list` shows what lies there and `mainstem dlq replay` sends it back. The topic is created if it does
    not exist. A record that came from a connector has no bytes of its own; its value is written as JSON.
    """

    topic: str


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """Try `times` more, waiting `backoff` before the first and twice as long before each further one (one minute at
    most), then do what `then` says.

    Only the record's split waits, and offsets behind it are not read meanwhile.
    """

    times: int
    backoff_ms: int
    then: Stop | Skip | Dlq

    def __init__(self, times: int = 5, *, backoff: str | int = "100ms", then: Stop | Skip | Dlq | None = None) -> None:
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            raise ValueError(f"Retry({times!r}) does not try again; give a number above 0")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "backoff_ms", duration_ms(backoff))
        object.__setattr__(self, "then", Stop() if then is None else then)

    def wait_ms(self, attempt: int) -> int:
        """Before the retry of this number, counted from 1."""
        return min(BACKOFF_MAX_MS, self.backoff_ms << min(attempt - 1, 30))


Policy = Stop | Skip | Dlq | Retry
LastResort = Stop | Skip | Dlq


def last_resort(policy: Policy) -> LastResort:
    return policy.then if isinstance(policy, Retry) else policy
