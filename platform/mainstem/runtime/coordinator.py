"""The coordinator of one internal topic on this broker: one shard per partition it leads, made by replay,
unmade on loss.

Rides on it: groups (`__consumer_offsets`) and transactions (`__transaction_state`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from mainstem.api.context import Clock, Log
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.runtime.coordinator_replay import ReplayError, replay
from mainstem.runtime.coordinator_shard import (
    CoordinatorShard,
    EndMarker,
    PartitionPort,
    RecordFormat,
    ShardSettings,
    StateMachine,
)
from mainstem.runtime.coordinator_timers import Scheduler
from mainstem.runtime.coordinator_waiter import Waiter

Machine = TypeVar("Machine", bound=StateMachine[Any])
Response = TypeVar("Response")
LOADS_AT_ONCE = 4


class CoordinatorRuntime(Generic[Machine]):
    """Owned by the loop it is made on. The caller knows which partitions this broker leads: `load` and
    `unload`.
    """

    def __init__(
        self,
        topic: str,
        new_machine: Callable[[], Machine],
        record_format: RecordFormat,
        settings: ShardSettings,
        clock: Clock,
        log: Log,
        scheduler: Scheduler | None = None,
        carry_out: Callable[[int, Any], None] | None = None,
    ) -> None:
        """`carry_out(index, effect)` is called with effects of the shard of `index` once they are committed."""
        self._topic = topic
        self._new_machine = new_machine
        self._format = record_format
        self._settings = settings
        self._clock = clock
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._scheduler: Scheduler = scheduler or self._loop
        self._carry_out_effect = carry_out
        self._shards: dict[int, CoordinatorShard[Any]] = {}
        self._machines: dict[int, Machine] = {}
        self._ready: dict[int, asyncio.Event] = {}
        self._loads: dict[int, asyncio.Task[None]] = {}
        # Reading many partitions back at once would only make each of them late.
        self._load_slots = asyncio.Semaphore(LOADS_AT_ONCE)
        self._is_closed = False

    # -------------------------------------------------------------------------------------------------------
    # ----- shards

    def is_hosted(self, index: int) -> bool:
        return index in self._shards

    def hosts(self, index: int, partition: PartitionPort) -> bool:
        """Whether the shard of `index` stands on exactly this partition object."""
        shard = self._shards.get(index)
        return shard is not None and shard.partition is partition

    @property
    def is_loading(self) -> bool:
        return any(not shard.is_active for shard in self._shards.values())

    def machine(self, index: int) -> Machine | None:
        """The state machine of a partition, None while it is not served."""
        shard = self._shards.get(index)
        return self._machines[index] if shard is not None and shard.is_active else None

    def machines(self) -> Iterator[Machine]:
        """State machines that are loaded, for looking at."""
        for index, shard in self._shards.items():
            if shard.is_active:
                yield self._machines[index]

    def indexes(self) -> list[int]:
        return list(self._shards)

    def load(self, index: int, partition: PartitionPort) -> None:
        """Begin to serve `partition`; commands are refused with COORDINATOR_LOAD_IN_PROGRESS until it is
        read back.

        An empty log needs no reading, such a shard serves at once. Raises: StorageError if the log cannot be
        opened.
        """
        assert not self._is_closed, "the coordinator is closed"
        self.unload(index)
        machine = self._new_machine()
        carry_out = self._carry_out_effect
        shard: CoordinatorShard[Any] = CoordinatorShard(
            partition,
            machine,
            self._format,
            self._settings,
            self._clock,
            self._scheduler,
            self._log,
            lambda reason: self._lost(index, shard, reason),
            None if carry_out is None else lambda effect: carry_out(index, effect),
        )
        self._shards[index] = shard
        self._machines[index] = machine
        if partition.log_end_offset == 0:
            self._activate(index, shard, -1)
            return
        task = self._loop.create_task(self._load(index, shard))
        self._loads[index] = task
        task.add_done_callback(lambda done: self._load_ended(index, done))

    async def _load(self, index: int, shard: CoordinatorShard[Any]) -> None:
        async with self._load_slots:
            try:
                last_offset = await replay(shard.partition, shard.machine, self._format)
            except (ReplayError, StorageError) as error:
                self._log.error("coordinator.load_failed", topic=self._topic, partition=index, reason=str(error))
                self._forget(index, shard)
                return
        if await self._committed(shard.partition, last_offset) is ErrorCode.NONE:
            self._activate(index, shard, last_offset)
        else:
            self._forget(index, shard)

    async def _committed(self, partition: PartitionPort, last_offset: int) -> ErrorCode:
        """What was read back may not be committed yet; serving it would show what a failover could take
        back.
        """
        outcome: asyncio.Future[ErrorCode] = self._loop.create_future()
        partition.when_committed(last_offset, lambda error: None if outcome.done() else outcome.set_result(error))
        return await outcome

    def _load_ended(self, index: int, task: asyncio.Task[None]) -> None:
        if self._loads.get(index) is task:
            del self._loads[index]
        crash = None if task.cancelled() else task.exception()
        if crash is not None:
            self._log.error("coordinator.load_crashed", topic=self._topic, partition=index, exc_info=crash)
            self.unload(index)

    def _activate(self, index: int, shard: CoordinatorShard[Any], last_offset: int) -> None:
        shard.activate(last_offset)
        event = self._ready.pop(index, None)
        if event is not None:
            event.set()

    def unload(self, index: int) -> None:
        """Another broker leads the partition now, or nobody does."""
        shard = self._shards.get(index)
        if shard is not None:
            self._forget(index, shard)

    def _lost(self, index: int, shard: CoordinatorShard[Any], reason: str) -> None:
        self._log.warning("coordinator.shard_lost", topic=self._topic, partition=index, reason=reason)
        self._forget(index, shard)

    def _forget(self, index: int, shard: CoordinatorShard[Any]) -> None:
        """The next use of the partition loads it anew, if this broker still leads it."""
        shard.close()
        if self._shards.get(index) is not shard:
            return
        del self._shards[index], self._machines[index]
        task = self._loads.pop(index, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        event = self._ready.pop(index, None)
        if event is not None:
            event.set()

    async def wait_loaded(self, index: int) -> None:
        """Until the shard serves or is given up; returns at once if either is so."""
        shard = self._shards.get(index)
        if shard is not None and not shard.is_active:
            await self._ready.setdefault(index, asyncio.Event()).wait()

    # -------------------------------------------------------------------------------------------------------
    # --- commands

    def submit(
        self, index: int, command: Any, render: Callable[[Any], Response]
    ) -> Response | asyncio.Future[Response]:
        """Give a command to the shard of `index`; `render` makes the response of the result, also of a
        refusal.

        Returns the response where it is there at once, a future of it otherwise.
        """
        shard = self._shards.get(index)
        if shard is None:
            return render(command.refused(ErrorCode.NOT_COORDINATOR))
        if not shard.is_active:
            return render(command.refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS))
        waiter = Waiter(command, render)
        shard.run(msgspec.structs.replace(command, token=waiter), waiter)
        outcome: Response | asyncio.Future[Response] = waiter.outcome(self._loop)
        return outcome

    def tell(self, index: int, command: Any) -> None:
        """A command that nobody waits for; ignored where the shard is not there."""
        shard = self._shards.get(index)
        if shard is not None and shard.is_active:
            shard.run(command)

    def end_transaction(self, index: int, marker: EndMarker, done: Callable[[ErrorCode], None]) -> None:
        """Write a transaction's end into the log of the shard of `index`; `done` is told when it is committed, or why not."""
        shard = self._shards.get(index)
        if shard is None:
            done(ErrorCode.NOT_COORDINATOR)
        elif not shard.is_active:
            done(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        else:
            shard.end_transaction(marker, done)

    async def close(self) -> None:
        self._is_closed = True
        tasks = list(self._loads.values())
        for index in list(self._shards):
            self.unload(index)
        await asyncio.gather(*tasks, return_exceptions=True)
