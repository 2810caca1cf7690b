"""A store against a list: any sequence of appends, rolls, cuts, compactions and restarts reads back as the model says.

    def test_model(tmp_path_factory):
        storage_model.run(lambda: new_place(tmp_path_factory))

`new_place()` gives a place, that is a `() -> LogStore` whose every call is a start in that same place

Needs Hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mainstem.api.storage import LogStore
from mainstem.model.batch import iterate, read_header
from mainstem.testing.conformance.storage_samples import PARTITION, TOPIC_ID, batch_at, span_of

MakeStore = Callable[[], LogStore]
STEPS = 30


class Kept(NamedTuple):
    base_offset: int
    last_offset: int
    data: bytes


class StorageModel(RuleBasedStateMachine):
    """`_batches` and `_bases` are what the log should hold; everything else asks the log."""

    new_place: Callable[[], MakeStore]

    @initialize()
    def open(self) -> None:
        self._make_store = type(self).new_place()
        self._store = self._make_store()
        self._log = self._store.open_log(PARTITION, TOPIC_ID, index_interval_bytes=100)
        self._batches: list[Kept] = []
        self._bases = [0]
        self._end = 0
        self._is_on_disk = False

    # ------------------------------------------------------------------------------------------------------------- rules

    @rule(count=st.integers(1, 4), size=st.integers(0, 200))
    def append(self, count: int, size: int) -> None:
        batch = bytes(batch_at(self._end, count, timestamp=1000 + self._end, payload=b"v" * size))
        self._log.append((batch,), (span_of(batch),))
        self._batches.append(Kept(self._end, self._end + count - 1, batch))
        self._end += count
        self._is_on_disk = True

    @rule()
    def roll(self) -> None:
        self._log.roll(self._end)
        if self._bases[-1] != self._end:
            self._bases.append(self._end)
            self._is_on_disk = True

    @rule()
    def flush(self) -> None:
        self._log.flush()

    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(self._bases[0], self._end))
        self._log.truncate(offset)
        if offset >= self._end:
            return
        removed = [batch for batch in self._batches if batch.last_offset >= offset]
        self._end = min([offset, *(batch.base_offset for batch in removed)])
        self._batches = [batch for batch in self._batches if batch.last_offset < offset]
        self._bases = [base for base in self._bases if base <= offset]

    @rule(data=st.data())
    def delete_before(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(self._bases[0], self._end))
        keep = max(slot for slot, base in enumerate(self._bases) if base <= offset)
        assert list(self._log.delete_before(offset)) == self._bases[:keep]
        self._bases = self._bases[keep:]
        self._batches = [batch for batch in self._batches if batch.base_offset >= self._bases[0]]

    @precondition(lambda self: len(self._bases) > 1)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(0, len(self._bases) - 2))
        last = data.draw(st.integers(first, len(self._bases) - 2))
        low, high = self._bases[first], self._bases[last + 1]
        inside = [batch for batch in self._batches if low <= batch.base_offset < high]
        kept = [batch for batch in inside if data.draw(st.booleans())]
        rewrite = self._log.rewrite(low, high)
        for batch in kept:
            rewrite.append((batch.data,), (span_of(batch.data),))
        if data.draw(st.integers(0, 9)) == 0:
            rewrite.abandon()
            return
        rewrite.finish()
        assert self._log.replace(rewrite)
        self._bases = [base for base in self._bases if not low < base < high]
        self._batches = [batch for batch in self._batches if batch not in inside or batch in kept]

    @rule()
    def purge(self) -> None:
        self._store.purge()

    @rule(ahead=st.integers(0, 20))
    def reset(self, ahead: int) -> None:
        self._end += ahead
        self._log.reset(self._end)
        self._bases, self._batches = [self._end], []
        self._is_on_disk = True

    @rule(is_clean=st.booleans())
    def restart(self, is_clean: bool) -> None:
        self._log.flush()
        self._log.close()
        self._store.close(clean=is_clean)
        self._store = self._make_store()
        self._log = self._store.open_log(PARTITION, TOPIC_ID, index_interval_bytes=100)
        if not self._store.was_clean:
            self._log.recover(self._bases[0], lambda header, data: True)
        if not any(batch.base_offset >= self._bases[-1] for batch in self._batches):
            # Nothing but its name says where an empty active segment ends, as in Kafka; a cut may have said more before.
            self._end = self._bases[-1]

    # -------------------------------------------------------------------------------------------------------- invariants

    @invariant()
    def reads_back(self) -> None:
        assert self._log.end_offset == self._end
        found, offset = [], self._bases[0]
        while offset < self._end:
            data = bytes(self._log.read(offset, self._end, 300))
            whole = [data[at : at + header.size] for at, header in iterate(data)]
            if not whole:
                break
            found += whole
            offset = read_header(whole[-1]).next_offset
        assert found == [batch.data for batch in self._batches]

    @invariant()
    def has_the_segments(self) -> None:
        infos = self._log.segments()
        assert [info.base_offset for info in infos] == self._bases
        assert sum(info.size for info in infos) == self._log.size == sum(len(b.data) for b in self._batches)
        times = [[1000 + b.base_offset for b in self._batches if self._segment_of(b) == base] for base in self._bases]
        assert [info.max_timestamp for info in infos] == [max(t, default=-1) for t in times]

    @invariant()
    def finds_times(self) -> None:
        for batch in self._batches[:: max(1, len(self._batches) // 3)]:
            assert self._log.offset_for_time(1000 + batch.base_offset, self._end) == batch.base_offset

    def _segment_of(self, batch: Kept) -> int:
        return max(base for base in self._bases if base <= batch.base_offset)

    def teardown(self) -> None:
        if hasattr(self, "_store"):
            self._log.close()
            self._store.close(clean=False)


def run(new_place: Callable[[], MakeStore], *, examples: int = 40, **overrides: Any) -> None:
    """Raises: AssertionError with the shortest sequence of calls that goes wrong."""
    machine = type("StorageModelHere", (StorageModel,), {"new_place": staticmethod(new_place), **overrides})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
