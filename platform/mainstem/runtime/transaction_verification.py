"""Before a log takes the first batch of a transaction, the transaction's coordinator must know of it (KIP-890).

    request 1 ──> asked ─ ─ ─ ─ ─ ─ ─ ─> answered ──> request 1, then request 2 appended
    request 2 ──────> waits behind request 1 of its producer

For newer clients asking is adding: their partitions join the transaction by being written to.
Source: Kafka's `ReplicaManager.handleProduceAppend` and `AddPartitionsToTxnManager`, 4.1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from mainstem.api.context import Clock
from mainstem.core.log.state import LogState
from mainstem.core.log.verification import Admission, Verification
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.ids import TopicPartition
from mainstem.runtime.coordinator_timers import Scheduler


class Writer(NamedTuple):
    """Whose transaction it is. `adds`: the client leaves it to the brokers to add partitions."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    adds: bool


ToldErrors = Callable[[Mapping[TopicPartition, ErrorCode]], None]


class CoordinatorPort(Protocol):
    """The coordinator of a transactional id, wherever it is. `runtime.transactions.Transactions` is the one on this broker."""

    def add_or_verify(self, writer: Writer, partitions: Sequence[TopicPartition], done: ToldErrors) -> None:
        """`done` is told the error of each partition, perhaps at once."""


class VerifiedLog(Protocol):
    """What is needed of `runtime.partition.Partition`."""

    @property
    def topic_partition(self) -> TopicPartition: ...

    @property
    def state(self) -> LogState:
        """True once the log is open."""

    @property
    def log_end_offset(self) -> int:
        """Opens the log. Raises: StorageError."""


Answer = Admission | ErrorCode
Done = Callable[[list[Answer]], None]


class _Request(NamedTuple):
    """Logs with the sequence of the batch for each, and who is told what to append with, in their order."""

    writer: Writer
    logs: Sequence[tuple[VerifiedLog, int]]
    done: Done


class _Line:
    """Requests of one producer; the coordinator is asked for one at a time."""

    __slots__ = ("is_asking", "is_moving", "requests")

    def __init__(self) -> None:
        self.requests: deque[_Request] = deque()
        self.is_asking = False
        self.is_moving = False


class TransactionVerifier:
    """One per broker, owned by the loop. What waits in its lines is bounded by the memory that requests may take."""

    def __init__(
        self,
        coordinator: CoordinatorPort,
        clock: Clock,
        scheduler: Scheduler,
        config: Callable[[], BrokerConfig],
    ) -> None:
        self._coordinator = coordinator
        self._clock = clock
        self._scheduler = scheduler
        self._config = config
        self._lines: dict[int, _Line] = {}

    def admit(self, writer: Writer, logs: Sequence[tuple[VerifiedLog, int]], done: Done) -> None:
        """`done` is told what to append with for each log, or why not; perhaps at once.

        Requests of one producer are told in their order, each after the one before has appended: a later batch must
        not overtake an earlier one which the coordinator has to be asked about.
        """
        line = self._lines.get(writer.producer_id)
        if line is None:
            line = self._lines[writer.producer_id] = _Line()
        line.requests.append(_Request(writer, logs, done))
        self._move(writer.producer_id, line)

    def _move(self, producer_id: int, line: _Line) -> None:
        """A coordinator may answer at once, which must not begin the next request within this one."""
        if line.is_moving:
            return
        line.is_moving = True
        try:
            while line.requests and not line.is_asking:
                self._begin(line, line.requests.popleft())
        finally:
            line.is_moving = False
            if not line.requests and not line.is_asking:
                self._lines.pop(producer_id, None)

    def _begin(self, line: _Line, request: _Request) -> None:
        writer, logs, done = request
        if not writer.adds and not self._config().transaction_partition_verification_enable:
            done([Admission(is_required=False)] * len(logs))
            return
        started = [self._start(writer, log, sequence) for log, sequence in logs]
        asked = [log.topic_partition for (log, _), s in zip(logs, started, strict=True) if isinstance(s, Verification)]
        if not asked:
            done([_admission(s) for s in started])
            return
        since_ms = self._clock.monotonic_ms()
        line.is_asking = True

        def ask() -> None:
            self._coordinator.add_or_verify(writer, asked, answered)

        def answered(errors: Mapping[TopicPartition, ErrorCode]) -> None:
            config = self._config()
            has_time = self._clock.monotonic_ms() - since_ms < config.add_partitions_to_txn_retry_backoff_max_ms
            if has_time and ErrorCode.CONCURRENT_TRANSACTIONS in errors.values():
                # The last transaction is being completed, which takes less time than another round trip of the client.
                self._scheduler.call_later(config.add_partitions_to_txn_retry_backoff_ms / 1000, ask)
                return
            line.is_asking = False
            answers = [
                _admission(s, errors.get(log.topic_partition, ErrorCode.NONE))
                for (log, _), s in zip(logs, started, strict=True)
            ]
            try:
                done(answers)
            finally:
                self._move(writer.producer_id, line)

        ask()

    def _start(self, writer: Writer, log: VerifiedLog, sequence: int) -> Verification | ErrorCode:
        try:
            log.log_end_offset  # noqa: B018 - opens it
        except StorageError:
            return ErrorCode.KAFKA_STORAGE_ERROR
        producers, now_ms = log.state.producers, self._clock.now_ms()
        return producers.start_verification(
            writer.producer_id, sequence, writer.producer_epoch, now_ms, supports_epoch_bump=writer.adds
        )


def _admission(started: Verification | ErrorCode, error: ErrorCode = ErrorCode.NONE) -> Answer:
    """`started` NONE: the log has the transaction."""
    if isinstance(started, Verification):
        return Admission(started) if error is ErrorCode.NONE else error
    return Admission() if started is ErrorCode.NONE else started


def told_to_producer(error: ErrorCode, version: int) -> ErrorCode:
    """A coordinator's error in words that a producer of that Produce version knows how to take."""
    error = _told(error, has_generic_error=version > 10)
    match error:
        case (
            ErrorCode.NETWORK_EXCEPTION
            | ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode.COORDINATOR_NOT_AVAILABLE
            | ErrorCode.NOT_COORDINATOR
        ):
            # Retried without looking for a new leader first.
            return ErrorCode.NOT_ENOUGH_REPLICAS
        case ErrorCode.CONCURRENT_TRANSACTIONS if version <= 11:
            return ErrorCode.NOT_ENOUGH_REPLICAS
        case _:
            return error


def told_to_committer(error: ErrorCode, version: int) -> ErrorCode:
    """The same for a client of that TxnOffsetCommit version."""
    error = _told(error, has_generic_error=version > 3)
    return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS if error is ErrorCode.NETWORK_EXCEPTION else error


def _told(error: ErrorCode, *, has_generic_error: bool) -> ErrorCode:
    match error:
        case ErrorCode.PRODUCER_FENCED:
            return ErrorCode.INVALID_PRODUCER_EPOCH
        case ErrorCode.TRANSACTION_ABORTABLE if not has_generic_error:
            return ErrorCode.INVALID_TXN_STATE
        case _:
            return error
