"""The contracts of `api.connector`, tried on one source or one sink."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.connector import ConnectorSpec, Sink, Source, TwoPhaseSink
from mainstem.api.context import PluginContext
from mainstem.api.spec import PluginConfig, configure
from mainstem.model.errors import ConfigError

READS_MAX = 10_000
MAX_WAIT_MS = 50


async def check_source(
    spec: ConnectorSpec, context: PluginContext, expected: Mapping[str, Sequence[Any]], **options: Any
) -> None:
    """`expected`: the values of each split, which must not change during the check. `options`: the configuration."""
    config = _configured(spec, spec.source_config, options)
    assert spec.open_source is not None, f"connector {spec.name} has no open_source"
    make = spec.open_source
    await make(config, context).close()
    for max_records in (1, 2, 7, 10_000):
        await _check_read_through(lambda: make(config, context), expected, max_records)
    await _check_resuming(lambda: make(config, context), expected)


async def _check_read_through(make: Callable[[], Source], expected: Mapping[str, Sequence[Any]], size: int) -> None:
    source = make()
    await source.open()
    splits = await source.splits()
    assert [split.name for split in splits] == list(expected), "the splits are not those expected, or in another order"
    for split in splits:
        reads = await _read_all(source, split.name, None, size, count=len(expected[split.name]))
        values = [value for read in reads for value in read.batch.values]
        assert values == list(expected[split.name]), f"split {split.name}: {values!r}"
        assert reads[-1].at_end == split.is_bounded, "at_end must say that a bounded split has nothing more"
        if split.is_bounded:
            position = reads[-1].next_position
            again = await source.read(split.name, position, max_records=size, max_wait_ms=MAX_WAIT_MS)
            assert len(again.batch) == 0, "reading at the end must return nothing"
            assert again.at_end, "reading at the end must say so again"
            assert again.next_position == position, "reading nothing must not move the position"
        await source.commit({split.name: reads[-1].next_position})
    await source.close()


async def _check_resuming(make: Callable[[], Source], expected: Mapping[str, Sequence[Any]]) -> None:
    """A new source, as after a crash, continues at every position that another one gave."""
    for split, values in expected.items():
        source = make()
        await source.open()
        await source.splits()
        reads = await _read_all(source, split, None, 1, count=len(values))
        await source.close()
        for number, read in enumerate(reads):
            position = json.loads(json.dumps(read.next_position))
            assert position == read.next_position, f"position {read.next_position!r} does not survive JSON"
            resumed = make()
            await resumed.open()
            await resumed.splits()
            rest = await _read_all(resumed, split, position, 10_000, count=len(values) - number - 1)
            await resumed.close()
            got = [value for one in rest for value in one.batch.values]
            assert got == list(values[number + 1 :]), f"split {split} from {position!r}: {got!r}"


async def _read_all(source: Source, split: str, position: Any, size: int, *, count: int) -> list[SourceBatch]:
    """Until the end, or until `count` records have come and a read brought none."""
    reads: list[SourceBatch] = []
    records = 0
    for _ in range(READS_MAX):
        read = await source.read(split, position, max_records=size, max_wait_ms=MAX_WAIT_MS)
        _check_shape(read, split, size)
        reads.append(read)
        records += len(read.batch)
        position = read.next_position
        if read.at_end or (records >= count and len(read.batch) == 0):
            return reads
    raise AssertionError(f"split {split} did not end within {READS_MAX} reads")


def _check_shape(read: SourceBatch, split: str, size: int) -> None:
    batch = read.batch
    assert read.split == split, f"asked for split {split}, got {read.split}"
    assert len(batch) <= size, f"asked for {size} records, got {len(batch)}"
    lengths = {len(batch.keys), len(batch.values), len(batch.timestamps)}
    lengths |= set() if batch.headers is None else {len(batch.headers)}
    lengths |= set() if read.offsets is None else {len(read.offsets)}
    assert len(lengths) == 1, "the columns of a batch must have one length"
    assert all(type(time) is int for time in batch.timestamps), "timestamps are integers (ms)"


async def check_sink(
    spec: ConnectorSpec,
    context: PluginContext,
    values: Sequence[Any],
    read_back: Callable[[], Sequence[Any]],
    *,
    unfit: Sequence[Any] = (),
    **options: Any,
) -> None:
    """`values`: at least three that differ. `read_back()`: all that is durable, in order, as equal values; at first
    nothing. `unfit`: values that must be rejected. `options`: the sink's configuration."""
    assert len(values) >= 3, "give at least three values"
    config = _configured(spec, spec.sink_config, options)
    assert spec.open_sink is not None, f"connector {spec.name} has no open_sink"
    await spec.open_sink(config, context).close()
    sink = spec.open_sink(config, context)
    await sink.open()
    await sink.flush()
    assert list(await sink.write(_batch([]))) == [], "an empty batch has nothing to reject"
    assert list(await sink.write(_batch(values[:2]))) == []
    await sink.flush()
    assert list(read_back()) == list(values[:2]), f"after a flush {list(read_back())!r} is there"
    for value in unfit:
        await _check_rejected(sink, values[2], value, read_back, list(values[:2]))
    assert list(await sink.write(_batch(values[2:]))) == []
    await sink.flush()
    await sink.close()
    await sink.close()
    assert list(read_back()) == list(values), f"after all {list(read_back())!r} is there"
    again = spec.open_sink(config, context)
    await again.open()
    await again.write(_batch(values[:2]))
    await again.flush()
    await again.close()
    repeated = list(values) if spec.is_idempotent(config) else [*values, *values[:2]]
    assert list(read_back()) == repeated, f"after writing two again {list(read_back())!r} is there"


async def check_two_phases(
    spec: ConnectorSpec,
    context: PluginContext,
    values: Sequence[Any],
    read_back: Callable[[], Sequence[Any]],
    **options: Any,
) -> None:
    """Beside `check_sink`, for a sink with `has_two_phases`. `values`: at least four that differ; `read_back()`: all that is
    seen, in any order; at first nothing."""
    assert len(values) >= 4, "give at least four values"
    config = _configured(spec, spec.sink_config, options)
    assert spec.has_two_phases(config), "it has two phases with these options"
    assert spec.open_sink is not None, f"connector {spec.name} has no open_sink"

    async def opened() -> TwoPhaseSink:
        assert spec.open_sink is not None
        sink = spec.open_sink(config, context)
        await sink.open()
        return cast(TwoPhaseSink, sink)

    def seen() -> Counter[str]:
        return Counter(map(repr, read_back()))

    first = await opened()
    assert await first.prepare() is None, "nothing was written"
    await first.write(_batch(values[:1]))
    token = await first.prepare()
    assert token is not None, "something was written"
    assert len(token) <= 1_000, "tokens are kept beside positions"
    assert not seen(), "what is prepared is not seen"
    await first.write(_batch(values[1:2]))
    await first.commit(token)
    assert seen() == Counter(map(repr, values[:1])), "what is committed is seen, and nothing else"
    later = await first.prepare()
    assert later not in (None, token), "each has a token of its own"
    await first.close()
    second = await opened()
    for _ in range(2):
        await second.commit(token)
        await second.commit(str(later))
    assert seen() == Counter(map(repr, values[:2])), "whoever comes next commits what was prepared, once"
    await second.write(_batch(values[2:3]))
    await second.prepare()
    await second.write(_batch(values[2:3]))
    await second.abort()
    await second.write(_batch(values[3:4]))
    last = await second.prepare()
    await second.commit(str(last))
    assert seen() == Counter(map(repr, [*values[:2], *values[3:4]])), "what was aborted never comes"
    await second.close()


async def _check_rejected(
    sink: Sink, good: Any, bad: Any, read_back: Callable[[], Sequence[Any]], before: list[Any]
) -> None:
    rejected = list(await sink.write(_batch([good, bad, good])))
    assert [one.index for one in rejected] == [1], f"{bad!r} at place 1: the sink rejected {rejected!r}"
    assert rejected[0].reason, "a rejected record needs a reason"
    await sink.flush()
    assert list(read_back()) == before, "a batch with a rejected record counts as not written"


def _batch(values: Sequence[Any]) -> Batch:
    return Batch(keys=[None] * len(values), values=list(values), timestamps=[0] * len(values))


def _configured(spec: ConnectorSpec, kind: type[PluginConfig] | None, options: dict[str, Any]) -> PluginConfig:
    assert kind is not None, f"connector {spec.name} has no configuration for this side"
    try:
        configure(kind, {**options, "no_such_setting": 1}, owner=spec.name)
    except ConfigError:
        return configure(kind, options, owner=f"connector {spec.name}")
    raise AssertionError("an unknown setting was accepted: derive the configuration from PluginConfig")
