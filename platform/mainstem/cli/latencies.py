"""The figures of `producer-perf-test`: rates and latencies, of a few seconds and of all."""

from __future__ import annotations

import time

WINDOW_S = 5.0
SAMPLES_MAX = 500_000
MEBIBYTE = 1024 * 1024
PERCENTILES = (50, 95, 99, 99.9)


class Latencies:
    """Counts acknowledgements. Keeps every n-th latency, so that memory is bounded whatever the number of records."""

    def __init__(self, records: int) -> None:
        self._step = max(1, records // SAMPLES_MAX)
        self._start_s = self._window_start_s = time.monotonic()
        self._samples: list[int] = []
        self.count = 0
        self._bytes = self._total_ms = self._max_ms = 0
        self._window_count = self._window_bytes = self._window_total_ms = self._window_max_ms = 0

    def record(self, latency_ms: int, size: int) -> str | None:
        """The line about the last seconds, when it is time for one."""
        if self.count % self._step == 0:
            self._samples.append(latency_ms)
        self.count += 1
        self._bytes += size
        self._total_ms += latency_ms
        self._max_ms = max(self._max_ms, latency_ms)
        self._window_count += 1
        self._window_bytes += size
        self._window_total_ms += latency_ms
        self._window_max_ms = max(self._window_max_ms, latency_ms)
        now_s = time.monotonic()
        return self._window(now_s) if now_s - self._window_start_s >= WINDOW_S else None

    def _window(self, now_s: float) -> str:
        elapsed_s = now_s - self._window_start_s
        line = (
            f"{self._window_count} records sent, {self._window_count / elapsed_s:.1f} records/sec"
            f" ({self._window_bytes / elapsed_s / MEBIBYTE:.2f} MB/sec),"
            f" {self._window_total_ms / self._window_count:.1f} ms avg latency, {self._window_max_ms:.1f} ms max latency."
        )
        self._window_start_s = now_s
        self._window_count = self._window_bytes = self._window_total_ms = self._window_max_ms = 0
        return line

    def summary(self) -> dict[str, float]:
        elapsed_s = max(time.monotonic() - self._start_s, 1e-3)
        ordered = sorted(self._samples) or [0]
        return {
            "records": self.count,
            "records_per_s": self.count / elapsed_s,
            "mb_per_s": self._bytes / elapsed_s / MEBIBYTE,
            "latency_avg_ms": self._total_ms / self.count if self.count else 0.0,
            "latency_max_ms": self._max_ms,
            **{
                f"latency_p{each:g}_ms": ordered[min(int(each * len(ordered) / 100), len(ordered) - 1)]
                for each in PERCENTILES
            },
        }


def summary_line(figures: dict[str, float]) -> str:
    percentiles = ", ".join(f"{figures[f'latency_p{each:g}_ms']:.0f} ms {each:g}th" for each in PERCENTILES)
    return (
        f"{figures['records']:.0f} records sent, {figures['records_per_s']:.1f} records/sec"
        f" ({figures['mb_per_s']:.2f} MB/sec), {figures['latency_avg_ms']:.2f} ms avg latency,"
        f" {figures['latency_max_ms']:.2f} ms max latency, {percentiles}."
    )
