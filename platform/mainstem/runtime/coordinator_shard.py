"""One partition of an internal topic and the state machine that stands on it. A plain object on the loop,
called directly.

    decide ──> append (one batch) ──> apply ──> committed? ──> replies
                   │
                   └─ could not: refuse the replies, and let the state machine put itself right

State always equals the log, flushed or not; replies wait until everything appended before them is committed.
So a read never shows what a crash could take back, and decisions build on each other without waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from mainstem.api.context import Clock, Log
from mainstem.core.decision import Decision, Reply, Timer, Transactional
from mainstem.core.log.transactions import build_marker
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT
from mainstem.model.compression import Codec
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.ids import NO_PRODUCER_ID
from mainstem.runtime.coordinator_timers import STALL_MS, CoordinatorTimers, Scheduler
from mainstem.runtime.coordinator_waiter import Waiter

Record = TypeVar("Record")
BATCH_BYTES_MAX = 512 * 1024
_COMMIT_TIMER = ("commit-timeout",)


class Appended(Protocol):
    """See `runtime.partition.AppendOutcome`."""

    @property
    def error(self) -> ErrorCode: ...
    @property
    def base_offset(self) -> int: ...
    @property
    def last_offset(self) -> int: ...


class PartitionPort(Protocol):
    """What a coordinator needs of `runtime.partition.Partition`."""

    @property
    def log_end_offset(self) -> int: ...
    def append_batch(self, batch: bytes, admission: Any = None) -> Appended: ...
    def when_committed(self, offset: int, callback: Callable[[ErrorCode], None]) -> None: ...
    def replay(self, from_offset: int = 0) -> AsyncIterator[bytes]: ...


class StateMachine(Protocol[Record]):
    """See `core.group.shard.GroupShard`. In replay until `loaded`."""

    def decide(self, command: Any, now_ms: int) -> Decision[Record]: ...
    def apply(self, record: Record, *, offset: int, producer_id: int = NO_PRODUCER_ID) -> None: ...
    def end_transaction(self, producer_id: int, committed: bool) -> None: ...
    def loaded(self, now_ms: int) -> Decision[Record]: ...
    def reject(self, records: Sequence[Record], error: ErrorCode, now_ms: int) -> Decision[Record]: ...


class RecordFormat(NamedTuple):
    """How records become keys and values. `decode` gives None for records that are of no concern."""

    encode: Callable[[Any], tuple[bytes, bytes | None]]
    decode: Callable[[bytes | None, bytes | None], Any]


class ShardSettings(NamedTuple):
    """`base_sequence` of batches without a producer: Kafka's group coordinator writes 0, its transaction coordinator -1."""

    commit_timeout_ms: int = 5_000
    codec: Codec = Codec.NONE
    base_sequence: int = 0


class EndMarker(NamedTuple):
    """The end of a producer's transaction, as a transaction coordinator of `coordinator_epoch` orders it."""

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    is_commit: bool

    def batch(self, now_ms: int) -> bytes:
        """The control batch that says it."""
        return build_marker(
            self.producer_id,
            self.producer_epoch,
            now_ms,
            is_commit=self.is_commit,
            coordinator_epoch=self.coordinator_epoch,
        )


class _Pending(NamedTuple):
    """What has waited `since_ms` (monotonic) until `offset` is committed, and timers of those who are to be answered."""

    offset: int
    since_ms: int
    replies: list[Reply]
    effects: list[Any]
    timers: list[Timer]


def refusal_of(error: ErrorCode) -> ErrorCode:
    """What a client is told when an append failed. Source: Kafka's `CoordinatorOperationExceptionHelper`,
    4.1.
    """
    match error:
        case (
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode.NOT_ENOUGH_REPLICAS
            | ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | ErrorCode.REQUEST_TIMED_OUT
        ):
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        case ErrorCode.NOT_LEADER_OR_FOLLOWER | ErrorCode.KAFKA_STORAGE_ERROR:
            return ErrorCode.NOT_COORDINATOR
        case ErrorCode.MESSAGE_TOO_LARGE | ErrorCode.RECORD_LIST_TOO_LARGE | ErrorCode.INVALID_FETCH_SIZE:
            return ErrorCode.UNKNOWN_SERVER_ERROR
        case _:
            return error


_GONE = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.KAFKA_STORAGE_ERROR,
    }
)


class CoordinatorShard(Generic[Record]):
    """Lives while this broker leads the partition. `lost(reason)` is called when it can serve no longer; the
    owner closes it.
    """

    def __init__(
        self,
        partition: PartitionPort,
        machine: StateMachine[Record],
        record_format: RecordFormat,
        settings: ShardSettings,
        clock: Clock,
        scheduler: Scheduler,
        log: Log,
        lost: Callable[[str], None],
        carry_out: Callable[[Any], None] | None = None,
    ) -> None:
        """`carry_out` is given the effects of decisions, once committed."""
        self.partition = partition
        self.machine = machine
        self.is_active = False
        self.is_closed = False
        self._format = record_format
        self._settings = settings
        self._clock = clock
        self._log = log
        self._lost = lost
        self._carry_out_effect = carry_out
        self._timers = CoordinatorTimers(scheduler, clock, self._timer_fired, self._owes_answers)
        self._parked: set[Waiter] = set()
        self._pending: deque[_Pending] = deque()
        self._last_offset = -1
        self._committed_offset = -1
        self._is_timing_commits = False

    # -------------------------------------------------------------------------------------------------------
    # --- running

    def activate(self, last_offset: int) -> None:
        """Replay reached `last_offset`, and it is committed."""
        assert not self.is_active, "a shard becomes active once"
        self.is_active = True
        self._last_offset = self._committed_offset = last_offset
        self._guarded(self.machine.loaded)

    def run(self, command: Any, waiter: Waiter | None = None) -> None:
        """Decide one command. `waiter` is the command's token."""
        assert self.is_active, "commands reach active shards only"
        if waiter is not None:
            self._parked.add(waiter)
        self._guarded(lambda now_ms: self.machine.decide(command, now_ms))

    def _guarded(self, decide: Callable[[int], Decision[Record]]) -> None:
        """A bug in the state machine must not be built upon: the shard is given up and read back from the
        log.
        """
        try:
            self._carry_out(decide(self._clock.now_ms()))
        except StorageError as error:
            self._log.error("coordinator.storage_failed", reason=str(error))
            self._lost(str(error))
        except Exception:
            self._lost("bug")
            raise

    def _carry_out(self, decision: Decision[Record]) -> None:
        if decision.records:
            written, error = self._append(decision)
            if error is not ErrorCode.NONE:
                self._refuse(decision, decision.records[written:], error)
                return
        for timer in decision.timers:
            self._timers.set(timer)
        for fact in decision.facts:
            self._log.debug(fact.event, **fact.facts)
        self._release(decision.replies, decision.effects, decision.timers)

    def end_transaction(self, marker: EndMarker, done: Callable[[ErrorCode], None]) -> None:
        """Write a transaction's end into this log; `done` is told once it is committed, or why it cannot be."""
        try:
            outcome = self.partition.append_batch(marker.batch(self._clock.now_ms()))
        except StorageError as error:
            done(ErrorCode.KAFKA_STORAGE_ERROR)
            self._lost(str(error))
            return
        if outcome.error is not ErrorCode.NONE:
            done(outcome.error)
            return
        self._last_offset = outcome.last_offset
        self.machine.end_transaction(marker.producer_id, marker.is_commit)
        self.partition.when_committed(outcome.last_offset, done)

    def _append(self, decision: Decision[Record]) -> tuple[int, ErrorCode]:
        """Returns how many records were written and applied, and why not all."""
        written = 0
        transactional = decision.transactional
        admission = None if transactional is None else transactional.admission
        producer_id = NO_PRODUCER_ID if transactional is None else transactional.producer_id
        for batch, kept in self._batches(decision):
            outcome = self.partition.append_batch(batch, admission)
            if outcome.error is not ErrorCode.NONE:
                return written, outcome.error
            self._last_offset = outcome.last_offset
            for index, record in enumerate(kept):
                self.machine.apply(record, offset=outcome.base_offset + index, producer_id=producer_id)
            written += len(kept)
        return written, ErrorCode.NONE

    def _batches(self, decision: Decision[Record]) -> list[tuple[bytes, list[Record]]]:
        """One batch, or as many as it takes to keep them small where the records need not be written
        together.
        """
        chunks: list[tuple[list[tuple[bytes, bytes | None]], list[Record]]] = [([], [])]
        size = 0
        for record in decision.records:
            pair = self._format.encode(record)
            grown = len(pair[0]) + len(pair[1] or b"")
            if not decision.atomic and chunks[-1][0] and size + grown > BATCH_BYTES_MAX:
                chunks.append(([], []))
                size = 0
            chunks[-1][0].append(pair)
            chunks[-1][1].append(record)
            size += grown
        return [(self._encode(pairs, decision.transactional), kept) for pairs, kept in chunks]

    def _encode(self, pairs: Sequence[tuple[bytes, bytes | None]], transactional: Transactional | None) -> bytes:
        now_ms = self._clock.now_ms()
        return records.encode(
            [key for key, _ in pairs],
            [value for _, value in pairs],
            [now_ms] * len(pairs),
            codec=self._settings.codec,
            producer_id=NO_PRODUCER_ID if transactional is None else transactional.producer_id,
            producer_epoch=-1 if transactional is None else transactional.producer_epoch,
            base_sequence=self._settings.base_sequence,
            attributes=0 if transactional is None else TRANSACTIONAL_BIT,
        )

    def _refuse(self, decision: Decision[Record], unwritten: Sequence[Record], error: ErrorCode) -> None:
        refusal = refusal_of(error)
        self._log.warning("coordinator.append_failed", error=error.name, records=len(unwritten))
        for reply in decision.replies:
            self._parked.discard(reply.token)
            if reply.token is not None:
                reply.token.refuse(refusal)
        if error in _GONE:
            self._lost(error.name)
        else:
            self._carry_out(self.machine.reject(unwritten, refusal, self._clock.now_ms()))

    # -------------------------------------------------------------------------------------------------------
    # --- replying

    def _release(self, replies: Sequence[Reply], effects: Sequence[Any], timers: Sequence[Timer]) -> None:
        """Hand out replies once everything appended so far is committed."""
        waiting = []
        for reply in replies:
            self._parked.discard(reply.token)
            if reply.token is not None:
                waiting.append(reply)
        if self._last_offset <= self._committed_offset:
            self._hand_out(waiting, effects)
            return
        silences = [timer for timer in timers if timer.times_silence]
        now_ms = self._clock.monotonic_ms()
        self._pending.append(_Pending(self._last_offset, now_ms, waiting, list(effects), silences))
        self.partition.when_committed(self._last_offset, self._committed_callback(self._last_offset))
        if self._pending and not self._is_timing_commits:
            self._is_timing_commits = True
            self._timers.set(Timer(_COMMIT_TIMER, self._settings.commit_timeout_ms, _COMMIT_TIMER))

    def _owes_answers(self) -> bool:
        """Commits take long: clients have been waiting for us."""
        if not self._pending or not self._pending[0].replies:
            return False
        return self._clock.monotonic_ms() - self._pending[0].since_ms > STALL_MS

    def _committed_callback(self, offset: int) -> Callable[[ErrorCode], None]:
        def committed(error: ErrorCode) -> None:
            if self.is_closed:
                return
            if error is not ErrorCode.NONE:
                self._lost(error.name)
                return
            self._committed_offset = max(self._committed_offset, offset)
            while self._pending and self._pending[0].offset <= offset:
                if self._owes_answers():
                    self._timers.begin_again(self._pending[0].timers)
                pending = self._pending.popleft()
                self._hand_out(pending.replies, pending.effects)

        return committed

    def _hand_out(self, replies: Sequence[Reply], effects: Sequence[Any]) -> None:
        for reply in replies:
            reply.token.answer(reply.response)
        for effect in effects:
            assert self._carry_out_effect is not None, "a state machine with effects has somebody to carry them out"
            self._carry_out_effect(effect)

    def _timer_fired(self, command: Any) -> None:
        if command is _COMMIT_TIMER:
            self._give_up_late()
        else:
            self.run(command)

    def _give_up_late(self) -> None:
        """Replicas that lag may still commit these records later; the clients ask again."""
        now_ms = self._clock.monotonic_ms()
        self._is_timing_commits = False
        for pending in self._pending:
            left_ms = pending.since_ms + self._settings.commit_timeout_ms - now_ms
            if left_ms > 0:
                self._is_timing_commits = True
                self._timers.set(Timer(_COMMIT_TIMER, left_ms, _COMMIT_TIMER))
                return
            for reply in pending.replies:
                reply.token.refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE)
            pending.replies.clear()

    def close(self) -> None:
        """Everybody who still waits is sent to look for the coordinator again."""
        if self.is_closed:
            return
        self.is_closed = True
        self.is_active = False
        self._timers.clear()
        for pending in self._pending:
            for reply in pending.replies:
                reply.token.refuse(ErrorCode.NOT_COORDINATOR)
        self._pending.clear()
        parked, self._parked = self._parked, set()
        for waiter in parked:
            waiter.refuse(ErrorCode.NOT_COORDINATOR)
