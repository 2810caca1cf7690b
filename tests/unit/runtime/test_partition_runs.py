"""Runs of appends on a partition: the log ends up as after one append at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.model import records
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode, StorageError
from mainstem.model.ids import TopicId, TopicPartition
from mainstem.runtime.partition import Partition
from mainstem.runtime.partition_outcomes import ReadUpTo
from mainstem_plugins.storage_memory.store import MemoryStore

NOW = 1_700_000_000_000


class StillClock:
    def now_ms(self) -> int:
        return NOW

    monotonic_ms = now_ms


class NoFlusher:
    failure: StorageError | None = None
    later: tuple[()] = ()

    def refused(self, error: StorageError) -> None:
        """Nothing to tell anybody."""

    def mark_dirty(self, partition: Any) -> None: ...

    def mark_within(self, partition: Any, delay_ms: int) -> None: ...


def make(**overrides: str) -> Partition:
    texts = {name.replace("_", "."): text for name, text in overrides.items()}
    return Partition(
        TopicPartition("t", 0),
        TopicId(bytes(16)),
        3,
        TopicConfig.resolve(texts, BrokerConfig.from_texts({})),
        MemoryStore(),
        NoFlusher(),  # type: ignore[arg-type]
        StillClock(),
        ThreadPoolExecutor(1),
        is_durable=False,
    )


def batch(count: int = 1, size: int = 10, **fields: int) -> bytes:
    return bytes(records.encode([b"k"] * count, [b"v" * size] * count, [NOW] * count, **fields))


def one_by_one(partition: Partition, sent: list[bytes]) -> list[tuple[ErrorCode, int]]:
    outcomes = [partition.append(memoryview(bytearray(each))) for each in sent]
    return [(o.error, o.base_offset) for o in outcomes]


def in_runs(partition: Partition, sent: list[bytes], cuts: list[int]) -> list[tuple[ErrorCode, int]]:
    """As a connection does it: what has arrived together is a run, and what is not plain goes alone."""
    outcomes: list[tuple[ErrorCode, int]] = []
    start = 0
    for end in [*sorted(cuts), len(sent)]:
        run = [memoryview(bytearray(each)) for each in sent[start:end]]
        while run:
            base_offsets = partition.append_run(run)
            outcomes += [(ErrorCode.NONE, offset) for offset in base_offsets]
            run = run[len(base_offsets) :]
            if not base_offsets:
                outcome = partition.append(run.pop(0))
                outcomes.append((outcome.error, outcome.base_offset))
        start = max(start, end)
    return outcomes


def stored(partition: Partition) -> bytes:
    found, offset = b"", 0
    while offset < partition.log_end_offset:
        data = bytes(partition.read(offset, 1 << 30, up_to=ReadUpTo.HIGH_WATERMARK, may_block=True).data)
        found += data
        offset = records.decode(data).offsets[-1] + 1
    return found


SENT = st.lists(
    st.one_of(
        st.builds(batch, st.integers(1, 3), st.integers(0, 400)),
        st.builds(
            batch, st.just(1), producer_id=st.just(7), producer_epoch=st.integers(0, 1), base_sequence=st.integers(0, 5)
        ),
        st.just(b"junk"),
        st.builds(batch, st.just(1), st.just(5000)),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=150)
@given(sent=SENT, cuts=st.lists(st.integers(0, 20), max_size=4), segment_bytes=st.sampled_from(["1000", "1000000"]))
def test_log_is_the_same_however_requests_are_grouped(sent: list[bytes], cuts: list[int], segment_bytes: str) -> None:
    settings_ = {"max_message_bytes": "2000", "internal_segment_bytes": segment_bytes}
    alone, together = make(**settings_), make(**settings_)
    cuts = [min(cut, len(sent)) for cut in cuts]
    assert in_runs(together, sent, cuts) == one_by_one(alone, sent)
    assert stored(together) == stored(alone)
    assert [s[:2] for s in together.log.segments()] == [s[:2] for s in alone.log.segments()]
    assert together.state.producers.encode_snapshot() == alone.state.producers.encode_snapshot()
    assert (together.messages_in, together.bytes_in) == (alone.messages_in, alone.bytes_in)


def test_run_that_the_disk_refuses_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = make()
    partition.append(memoryview(bytearray(batch(producer_id=7, producer_epoch=0, base_sequence=0))))
    before = partition.state.producers.encode_snapshot()

    def refuse(data: object, spans: object) -> None:
        raise StorageError("/disk", "no space left on device")

    run = [memoryview(bytearray(batch(producer_id=7, producer_epoch=0, base_sequence=n))) for n in (1, 2)]
    with monkeypatch.context() as patched:
        patched.setattr(partition.log, "append", refuse)
        with pytest.raises(StorageError):
            partition.append_run(run)
    assert (partition.log_end_offset, partition.messages_in) == (1, 1)
    assert partition.state.producers.encode_snapshot() == before
    assert partition.append_run(run) == [1, 2]


def test_new_leader_epoch_is_noted_before_its_first_run() -> None:
    partition = make()
    partition.append(memoryview(bytearray(batch())))
    partition.leader_epoch = 4
    assert partition.append_run([memoryview(bytearray(batch()))]) == []
    assert partition.append(memoryview(bytearray(batch()))).base_offset == 1
    assert partition.append_run([memoryview(bytearray(batch()))]) == [2]
    assert partition.end_offset_for_epoch(3) == (3, 1)
