"""What happens by the clock: retention, checkpoints, expiry. One task per broker; a failing job is logged and tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mainstem.api.context import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    name: str
    interval_ms: int
    run: Callable[[], Awaitable[None]]


class Housekeeping:
    def __init__(self, jobs: list[Job], log: Log) -> None:
        self._jobs = jobs
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._repeat(job), name=job.name) for job in self._jobs]

    async def _repeat(self, job: Job) -> None:
        while True:
            await asyncio.sleep(job.interval_ms / 1000)
            try:
                await job.run()
            except Exception as error:
                self._log.error("housekeeping.failed", job=job.name, exc_info=error)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
