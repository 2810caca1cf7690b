"""The single owner of one partition: plan (core) -> store (plugin) -> apply. A plain object on the loop, called directly.

Offsets: log start <= high watermark <= log end. With flush policy `commit` the high watermark follows the last completed
flush; with `interval` and `none` it follows the log end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor

from mainstem.api.context import Clock
from mainstem.api.storage import BatchSpan, LogStore, PartitionLog, SidecarKind
from mainstem.core.log import retention
from mainstem.core.log.aborted import AbortedTransaction
from mainstem.core.log.append import plan_append
from mainstem.core.log.append_run import plan_run, takes_plain_batches
from mainstem.core.log.flush_policy import LINGER_BYTES, FlushPolicy
from mainstem.core.log.state import LogState
from mainstem.core.log.validation import check_records, needs_records
from mainstem.core.log.verification import Admission
from mainstem.model.batch import patch_log_append_time, patch_offset
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.ids import TopicId, TopicPartition
from mainstem.runtime import partition_opening, partition_sidecars
from mainstem.runtime.active_segment import ActiveSegment
from mainstem.runtime.flusher import AppendedMark, Flusher
from mainstem.runtime.partition_opening import OpenedLog
from mainstem.runtime.partition_outcomes import AppendOutcome, FetchWaiter, ReadOutcome, ReadUpTo
from mainstem.runtime.partition_replay import replay_batches


class Partition:
    """Lives from the moment the broker hosts the partition until the topic is deleted or the broker stops.

    Its log is opened on first use, so that thousands of cold partitions cost neither files nor time at start.
    """

    def __init__(
        self,
        topic_partition: TopicPartition,
        topic_id: TopicId,
        leader_epoch: int,
        config: TopicConfig,
        store: LogStore,
        flusher: Flusher,
        clock: Clock,
        executor: Executor,
        *,
        is_durable: bool,
        log_start_offset: int = 0,
    ) -> None:
        self.topic_partition = topic_partition
        self.topic_id = topic_id
        self.leader_epoch = leader_epoch
        self.store = store
        self._flusher = flusher
        self._clock = clock
        self._executor = executor
        self._is_durable = is_durable
        self.configure(config)
        self._log: PartitionLog | None = None
        self.state = LogState()
        self._commit_waiters: deque[tuple[int, Callable[[ErrorCode], None]]] = deque()
        self._active = ActiveSegment()
        self._log_start_offset = log_start_offset
        self._high_watermark = self._log_end_offset = self.flushed_offset = 0
        self.fetch_waiters: set[FetchWaiter] = set()
        self._appended_bytes = self.readable_bytes = 0
        self.bytes_in = self.bytes_out = self.messages_in = 0
        self.produce_requests = self.produce_failures = self.fetch_requests = self.fetch_failures = 0
        self.is_closed = False
        self.in_sync_replicas = 1
        self.replicas: tuple[int, ...] = ()

    def configure(self, config: TopicConfig) -> None:
        """The topic's settings, now or changed."""
        self.config = config
        self._takes_plain_batches = takes_plain_batches(config)
        self._needs_records = needs_records(config)
        self._flush_policy = FlushPolicy.of(config, is_durable=self._is_durable)

    # --------------------------------------------------------------------------------------------------------- opening

    @property
    def log(self) -> PartitionLog:
        """Raises: StorageError."""
        return self._log if self._log is not None else self._open()

    @property
    def is_offline(self) -> bool:
        """Its log directory failed."""
        return self._flusher.failure is not None

    @property
    def is_open(self) -> bool:
        return self._log is not None

    def _open(self) -> PartitionLog:
        opened = partition_opening.open_log(
            self.store, self.topic_partition, self.topic_id, self.config, self._clock.now_ms()
        )
        self._adopt(opened)
        return opened.log

    def recover(self, recovery_point: int) -> OpenedLog:
        """After an unclean stop. Blocking; runs in a thread before the partition is served. Raises: StorageError."""
        opened = partition_opening.recover_log(
            self.store, self.topic_partition, self.topic_id, self.config, self._clock.now_ms(), recovery_point
        )
        self._adopt(opened)
        return opened

    def _adopt(self, opened: OpenedLog) -> None:
        log = self._log = opened.log
        self.state = opened.state
        segments = log.segments()
        self._log_start_offset = max(self._log_start_offset, segments[0].base_offset)
        if self._log_start_offset > log.end_offset:
            log.reset(self._log_start_offset)
            segments = log.segments()
        self._active.adopt(segments)
        self._log_end_offset = self._high_watermark = self.flushed_offset = log.end_offset

    # --------------------------------------------------------------------------------------------------------- offsets

    @property
    def log_start_offset(self) -> int:
        if self._log is None:
            self._open()
        return self._log_start_offset

    @property
    def high_watermark(self) -> int:
        self.log  # noqa: B018
        return self._high_watermark

    @property
    def log_end_offset(self) -> int:
        self.log  # noqa: B018
        return self._log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """Below it every transaction is decided; where there are none, it is the high watermark."""
        high_watermark = self.high_watermark
        return max(self._log_start_offset, self.state.transactions.last_stable_offset(high_watermark))

    def aborted_transactions(self, offset: int, end_offset: int) -> Sequence[AbortedTransaction]:
        """Those a read_committed reader of [offset, end_offset) must skip."""
        self.log  # noqa: B018
        return self.state.transactions.aborted.overlapping(offset, end_offset)

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """(epoch, end offset) as OffsetForLeaderEpoch answers; (-1, -1) if unknown. The leader's has begun, batches or not."""
        end = self.log_end_offset
        return (epoch, end) if epoch == self.leader_epoch else self.state.epochs.end_offset_for(epoch, end)

    # -------------------------------------------------------------------------------------------------------- appending

    def append_batch(self, batch: bytes, admission: Admission | None = None) -> AppendOutcome:
        """For coordinators: `batch` is copied, offsets are put into the copy; its records are not looked at."""
        return self.append(memoryview(bytearray(batch)), from_client=False, admission=admission)

    def append(
        self, data: memoryview, *, from_client: bool = True, admission: Admission | None = None
    ) -> AppendOutcome:
        """Append one record batch. `data` is patched in place and not kept. `admission` of a transaction's.

        Raises nothing for bad input: the outcome carries the code and a sentence.
        """
        if self.is_closed:
            return AppendOutcome(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if self._flusher.failure is not None:
            return AppendOutcome(ErrorCode.KAFKA_STORAGE_ERROR, message=str(self._flusher.failure))
        log = self._log if self._log is not None else self._open()
        now_ms = self._clock.now_ms()
        config = self.config
        producers, end = self.state.producers, self._log_end_offset
        plan = plan_append(data, end, producers, config, now_ms, from_client=from_client, admission=admission)
        header = plan.header
        if header is None:
            return AppendOutcome(plan.error, message=plan.message)
        if plan.is_duplicate:
            return AppendOutcome(ErrorCode.NONE, plan.base_offset, plan.last_offset)
        if self._needs_records and from_client:
            checked = check_records(data, header, config, now_ms)
            if checked.error:
                return AppendOutcome(checked.error, message=checked.message, record_errors=checked.record_errors)
            data, header = memoryview(checked.batch), checked.header
        timestamp, log_append_time = header.max_timestamp, -1
        if config.message_timestamp_type == "LogAppendTime":
            timestamp = log_append_time = now_ms
            patch_log_append_time(data, 0, header, now_ms)
        patch_offset(data, 0, plan.base_offset, self.leader_epoch)
        size = len(data)
        if self._active.must_roll(log, config, size, plan.last_offset, timestamp):
            self._roll(log)
        try:
            log.append((data,), (BatchSpan(size, plan.base_offset, plan.last_offset, timestamp),))
        except StorageError as error:
            self._flusher.refused(error)
            raise
        if self._active.first_timestamp < 0:
            self._active.first_timestamp = timestamp
        self._log_end_offset = end = plan.last_offset + 1
        if header.producer_id >= 0:
            self.state.apply(header, data, plan.base_offset, now_ms)
        if self.state.epochs.latest != self.leader_epoch:
            self.state.epochs.assign(self.leader_epoch, plan.base_offset)
            log.put_sidecar(SidecarKind.LEADER_EPOCHS, 0, self.state.epochs.encode())
        self._appended(end, size, header.records_count)
        return AppendOutcome(ErrorCode.NONE, plan.base_offset, plan.last_offset, log_append_time)

    def append_run(self, batches: Sequence[memoryview]) -> list[int]:
        """Append the plain batches at the head of a run with one write; returns their base offsets.

        The batch after them, if there is one, needs `append`. All are patched in place and not kept. Raises: StorageError.
        """
        if not self._takes_plain_batches or self.is_closed or self._flusher.failure is not None:
            return []
        log = self._log if self._log is not None else self._open()
        state = self.state
        if state.epochs.latest != self.leader_epoch:
            return []
        now_ms = self._clock.now_ms()
        limits = self._active.limits(log, self.config, now_ms)
        plan = plan_run(batches, self._log_end_offset, self.leader_epoch, state.producers, limits, now_ms)
        spans = plan.spans
        if not spans:
            return []
        try:
            log.append(batches if len(spans) == len(batches) else batches[: len(spans)], spans)
        except BaseException as error:
            state.producers.restore(plan.saved)
            if isinstance(error, StorageError):
                self._flusher.refused(error)
            raise
        self._log_end_offset += plan.records_count
        self._appended(self._log_end_offset, plan.size, plan.records_count)
        return [span.base_offset for span in spans]

    def _appended(self, end: int, size: int, records_count: int) -> None:
        """Count what the log took, and see to it that it is committed."""
        self._appended_bytes += size
        self.bytes_in += size
        self.messages_in += records_count
        uncommitted_bytes = self._appended_bytes - self.readable_bytes
        commits_by_flush, messages, within_ms = self._flush_policy
        if not commits_by_flush:
            self._advance(AppendedMark(end, self._appended_bytes))
        if (
            commits_by_flush and (self.fetch_waiters or uncommitted_bytes > LINGER_BYTES)
        ) or end - self.flushed_offset >= messages:
            self._flusher.mark_dirty(self)
        elif within_ms >= 0 and self not in self._flusher.later:
            # Nobody waits yet; who asks for what is uncommitted (`when_committed`, `want_all`) starts the flush at once.
            self._flusher.mark_within(self, within_ms)

    def _roll(self, log: PartitionLog) -> None:
        self._active.roll(log, self.state, self._log_end_offset, is_compacted=self.config.is_compacted)

    # --------------------------------------------------------------------------------------------------------- committing

    def when_committed(self, offset: int, callback: Callable[[ErrorCode], None]) -> None:
        """Call back, perhaps at once, when the high watermark has passed `offset`, or with the reason why it never will."""
        if offset < self._high_watermark:
            callback(ErrorCode.NONE)
        elif self.is_closed:
            callback(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        else:
            self._commit_waiters.append((offset, callback))
            self._flusher.mark_dirty(self)

    def want_all(self) -> bool:
        """Somebody asks for the end of the log; False if some of it is not committed yet, which a flush then changes soon."""
        if self._high_watermark >= self._log_end_offset:
            return True
        self._flusher.mark_dirty(self)
        return False

    def flush_log(self) -> None:
        """Runs in the flusher's thread. Raises: StorageError."""
        if self._log is not None and not self.is_closed:
            self._log.flush()

    def appended_mark(self) -> AppendedMark:
        return AppendedMark(self._log_end_offset, self._appended_bytes)

    def flushed(self, mark: AppendedMark) -> None:
        """Everything up to `mark` is durable."""
        if self.is_closed:
            return
        self.flushed_offset = max(self.flushed_offset, mark.end_offset)
        self._advance(mark)

    def _advance(self, mark: AppendedMark) -> None:
        high_watermark = mark.end_offset
        if high_watermark <= self._high_watermark:
            return
        self._high_watermark = high_watermark
        self.readable_bytes = mark.bytes
        self.state.transactions.advance(high_watermark)
        waiters = self._commit_waiters
        while waiters and waiters[0][0] < high_watermark:
            waiters.popleft()[1](ErrorCode.NONE)
        if self.fetch_waiters:
            for waiter in tuple(self.fetch_waiters):
                waiter.wake()

    def fail_waiters(self, error: ErrorCode) -> None:
        while self._commit_waiters:
            self._commit_waiters.popleft()[1](error)
        for waiter in tuple(self.fetch_waiters):
            waiter.wake(at_once=True)

    # ------------------------------------------------------------------------------------------------------------ reading

    def read(
        self, offset: int, max_bytes: int, *, up_to: ReadUpTo, may_block: bool, last_fetched_epoch: int = -1
    ) -> ReadOutcome:
        """Batches from the one that contains `offset`; the first is whole even if it is larger than `max_bytes`.

        `last_fetched_epoch` is that of the reader's last record, -1 if it does not say. Raises: WouldBlock (only without
        `may_block`), StorageError. Source: KIP-595; Kafka's `Partition.readRecords`, 4.1.
        """
        log = self._log if self._log is not None else self._open()
        high_watermark, start = self._high_watermark, self._log_start_offset
        stable = self.last_stable_offset
        if offset < start or offset > self._log_end_offset:
            return ReadOutcome(ErrorCode.OFFSET_OUT_OF_RANGE, b"", high_watermark, stable, start)
        if last_fetched_epoch >= 0:
            epoch, epoch_end = self.end_offset_for_epoch(last_fetched_epoch)
            if epoch < 0:
                return ReadOutcome(ErrorCode.OFFSET_OUT_OF_RANGE, b"", high_watermark, stable, start)
            if epoch < last_fetched_epoch or epoch_end < offset:
                return ReadOutcome(ErrorCode.NONE, b"", high_watermark, stable, start, (), (epoch, epoch_end))
        end = high_watermark
        if up_to is not ReadUpTo.HIGH_WATERMARK:
            end = stable if up_to is ReadUpTo.LAST_STABLE_OFFSET else self._log_end_offset
        if offset < end:
            data = log.read(offset, end, max_bytes, may_block=may_block)
        else:
            data = b""
            self.want_all()
        self.bytes_out += len(data)
        skips = up_to is ReadUpTo.LAST_STABLE_OFFSET and data and self.state.transactions.aborted
        aborted = self.state.transactions.aborted_in(data, offset) if skips else ()
        return ReadOutcome(ErrorCode.NONE, data, high_watermark, stable, start, aborted)

    def replay(self, from_offset: int = 0) -> AsyncIterator[bytes]:
        """Raw batches up to the log end of this moment."""
        log = self.log
        return replay_batches(log, max(from_offset, self._log_start_offset), self._log_end_offset, self._executor)

    # -------------------------------------------------------------------------------------------------------- housekeeping

    def delete_old_segments(self, now_ms: int) -> int:
        """Apply retention; returns the number of segments that went."""
        log, end = self._log, self._log_end_offset
        if log is None:
            return 0
        start, high_watermark = self._log_start_offset, self._high_watermark
        keep_from = retention.keep_from(log.segments(), start, end, high_watermark, self.config, now_ms)
        if keep_from == end and log.active_size():
            self._roll(log)  # there is always an active segment
        return self.trim(keep_from)

    def trim(self, start_offset: int) -> int:
        """Nothing below `start_offset`, at most the high watermark, is served any more; returns how many segments went."""
        log = self.log
        self._log_start_offset = start = max(self._log_start_offset, start_offset)
        gone = log.delete_before(start)
        if gone:
            partition_sidecars.delete_below(log, self.state, start, gone)
        self.state.truncate_from_start(start)
        return len(gone)

    def expire_producers(self, older_than_ms: int) -> None:
        self.state.producers.expire(older_than_ms)

    def close(self) -> None:
        """Blocking. The log must be flushed by then if it is to be found clean."""
        if self._log is not None and not self.is_closed:
            partition_sidecars.write_at_close(self._log, self.state, self._active.base_offset, self._log_end_offset)
            self._log.close()
        self.is_closed = True

    def drop(self) -> None:
        """The topic was deleted: waiters are told, files go."""
        if self._log is not None:
            self._log.close()
        self.is_closed = True
        self.fail_waiters(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        self.store.delete_log(self.topic_partition)

    def storage_failed(self, error: StorageError) -> None:
        self.fail_waiters(ErrorCode.KAFKA_STORAGE_ERROR)
