"""The journal of the embedded coordinator: power loss at every call, every byte of the last line, damage,
fencing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from mainstem.api.context import PluginContext
from mainstem.api.files import FileSystem, OsFiles
from mainstem.model.cluster import (
    BrokerRegistration,
    Change,
    ConfigChanged,
    FeatureLevelChanged,
    PartitionChanged,
    PartitionRegistration,
    PartitionsAdded,
    ProducerIdsReserved,
    TopicCreated,
    TopicDeleted,
)
from mainstem.model.errors import FencedError, StorageError
from mainstem.model.ids import TopicId
from mainstem.testing.crashing_files import CrashingFiles, PowerLoss
from mainstem_plugins.coordinator_embedded import EmbeddedConfig, open_coordinator
from mainstem_plugins.coordinator_embedded.coordinator import EmbeddedCoordinator
from mainstem_plugins.coordinator_embedded.journal import FILE_NAME

FOLDER = Path("/data")


class CallingThread(Executor):
    """Runs everything at once, so that a test has one order of events."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Silence:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **facts: None


def coordinator(
    files: FileSystem, directory: Path | None = FOLDER, compaction_bytes_min: int = 1 << 20
) -> EmbeddedCoordinator:
    nothing: Any = Silence()
    context = PluginContext(clock=nothing, log=nothing, executor=CallingThread(), sensor=nothing, files=files)
    made = open_coordinator(EmbeddedConfig(compaction_bytes_min=compaction_bytes_min), context, directory)
    assert isinstance(made, EmbeddedCoordinator)
    return made


def partition(number: int, leader: int = 1, epoch: int = 0) -> PartitionRegistration:
    return PartitionRegistration(partition=number, leader=leader, leader_epoch=epoch, replicas=(1,), isr=(1,))


def created(name: str, partitions: int = 1) -> TopicCreated:
    numbers = tuple(partition(number) for number in range(partitions))
    return TopicCreated(name=name, topic_id=TopicId(name.encode().ljust(16)), partitions=numbers, configs={})


def deleted(name: str) -> TopicDeleted:
    return TopicDeleted(name=name, topic_id=TopicId(name.encode().ljust(16)))


def config(kind: str, name: str, key: str, value: str | None) -> ConfigChanged:
    return ConfigChanged(resource_type=kind, resource_name=name, key=key, value=value)


def level(name: str, value: int, epoch: int) -> FeatureLevelChanged:
    return FeatureLevelChanged(name=name, level=value, epoch=epoch)


HISTORY: list[list[Change]] = [
    [created("a"), created("b", 2)],
    [config("topic", "a", "retention.ms", "1"), config("broker", "", "log.retention.ms", "2")],
    [PartitionsAdded(name="a", partitions=(partition(1), partition(2)))],
    [PartitionChanged(name="b", partition=partition(1, leader=-1, epoch=4))],
    [ProducerIdsReserved(broker_id=1, first=0, count=1000)],
    [deleted("b"), config("broker", "", "log.retention.ms", None)],
    [created("b"), config("group", "g", "consumer.session.timeout.ms", "50000")],
    [ProducerIdsReserved(broker_id=1, first=1000, count=1000), config("topic", "a", "retention.ms", None)],
    [level("group.version", 0, 1), level("transaction.version", 1, 2)],
    [level("group.version", 1, 3)],
]


async def write_history(made: EmbeddedCoordinator, acknowledged: list[list[Change]]) -> None:
    """`acknowledged` grows by what the coordinator decided, as soon as the caller may believe it."""
    await made.open()
    acknowledged.append([])
    await made.register(BrokerRegistration(broker_id=1, epoch=0, endpoints=()))
    claim = await made.elect(1)
    for changes in HISTORY:
        await made.write(changes, claim.epoch)
        acknowledged.append(changes)
    await made.close()


async def decided_by(history: Sequence[Sequence[Change]]) -> list[Change]:
    """What a coordinator answers that never touched a disk."""
    made = coordinator(CrashingFiles(), None)
    await made.open()
    for changes in history:
        await made.write(changes, 0)
    return list(await made.open())


async def test_everything_decided_is_there_after_reopening() -> None:
    files = CrashingFiles()
    first = coordinator(files)
    await write_history(first, [])
    second = coordinator(files)
    assert await second.open() == await decided_by(HISTORY)
    assert await second.cluster_id() == await first.cluster_id()


async def test_the_last_state_is_what_the_changes_amount_to() -> None:
    assert await decided_by(HISTORY) == [
        created("a", 3),
        created("b"),
        config("group", "g", "consumer.session.timeout.ms", "50000"),
        level("transaction.version", 1, 2),
        level("group.version", 1, 3),
        ProducerIdsReserved(broker_id=1, first=1000, count=1000),
    ]


@pytest.mark.parametrize("compaction_bytes_min", [1 << 20, 400])
@pytest.mark.parametrize("seed", range(20))
def test_power_loss_at_any_call_loses_nothing_acknowledged(seed: int, compaction_bytes_min: int) -> None:
    """The crash may add the one write that was under way, whole, and nothing else."""
    asyncio.run(check_every_crash(seed, compaction_bytes_min))


async def check_every_crash(seed: int, compaction_bytes_min: int, *, lies_about_sync: bool = False) -> int:
    """Returns how many crashes were tried."""
    prefixes = [await decided_by(HISTORY[:count]) for count in range(len(HISTORY) + 1)]
    crash_at = 0
    while True:
        crash_at += 1
        files = CrashingFiles(crash_at, lies_about_sync=lies_about_sync)
        acknowledged: list[list[Change]] = []
        try:
            await write_history(coordinator(files, compaction_bytes_min=compaction_bytes_min), acknowledged)
        except PowerLoss:
            pass
        else:
            return crash_at
        survivor = coordinator(files.after_crash(random.Random(seed * 1000 + crash_at)))
        found = list(await survivor.open())
        count = max(0, len(acknowledged) - 1)
        assert found in prefixes[count : count + 2], f"seed {seed}, crash at call {crash_at}"
        await survivor.write([created("z")], 1 << 30)
        await survivor.close()


def test_a_disk_that_lies_about_sync_is_found_out() -> None:
    """The planted bug: if this passed, the test above would prove nothing."""
    found = 0
    for seed in range(20):
        try:
            asyncio.run(check_every_crash(seed, 1 << 20, lies_about_sync=True))
        except (AssertionError, StorageError):
            found += 1
    assert found > 0


async def test_a_last_line_cut_at_any_byte_is_forgotten_and_written_over(tmp_path: Path) -> None:
    made = coordinator(OsFiles(), tmp_path)
    await made.open()
    claim = await made.elect(1)
    await made.write([created("a")], claim.epoch)
    path = tmp_path / FILE_NAME
    before = path.read_bytes()
    await made.write([created("b")], claim.epoch)
    await made.close()
    whole = path.read_bytes()
    for size in range(len(before), len(whole)):
        path.write_bytes(whole[:size])
        again = coordinator(OsFiles(), tmp_path)
        assert [change.name for change in await again.open() if isinstance(change, TopicCreated)] == ["a"]
        await again.write([created("c")], claim.epoch)
        await again.close()
        last = coordinator(OsFiles(), tmp_path)
        assert await last.open() == [created("a"), created("c")]
        await last.close()


async def test_a_damaged_line_before_whole_ones_is_refused(tmp_path: Path) -> None:
    made = coordinator(OsFiles(), tmp_path)
    await made.open()
    for name in ("a", "b", "c"):
        await made.write([created(name)], 0)
    await made.close()
    path = tmp_path / FILE_NAME
    damaged = bytearray(path.read_bytes())
    damaged[path.read_bytes().index(b'"a"') + 1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(StorageError, match="line 2 is damaged and others follow it"):
        await coordinator(OsFiles(), tmp_path).open()
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([b'{"type":"Epochs","broker_epoch":1,"controller_epoch":1,"controller_id":1}'], "line 1 is not where it"),
        ([b'{"type":"Founded","cluster_id":"x","format":2}'], "it has format 2, and this version reads 1"),
        ([b'{"type":"Founded","cluster_id":"x","format":1}'] * 2, "line 2 is not where it belongs"),
        (
            [b'{"type":"Founded","cluster_id":"x"}', b'{"type":"Miracle"}'],
            "line 2 says something that this version does not know",
        ),
        (
            [
                b'{"type":"Founded","cluster_id":"x"}',
                b'{"type":"Decided","changes":[{"type":"TopicDeleted","name":"a","topic_id":""}]}',
            ],
            "line 2 changes topic 'a', which does not exist",
        ),
    ],
)
async def test_a_journal_that_makes_no_sense_is_refused(tmp_path: Path, lines: list[bytes], problem: str) -> None:
    from crc32c import crc32c

    (tmp_path / FILE_NAME).write_bytes(b"".join(b"%08x %s\n" % (crc32c(line), line) for line in lines))
    with pytest.raises(StorageError, match=problem):
        await coordinator(OsFiles(), tmp_path).open()


async def test_epochs_grow_over_restarts() -> None:
    files = CrashingFiles()
    seen = []
    for _ in range(3):
        made = coordinator(files)
        await made.open()
        broker_epoch = await made.register(BrokerRegistration(broker_id=1, epoch=0, endpoints=()))
        seen.append((broker_epoch, (await made.elect(1)).epoch))
        await made.close()
    assert seen == [(1, 1), (2, 2), (3, 3)]


async def test_a_write_under_an_old_epoch_is_refused_and_leaves_no_trace() -> None:
    made = coordinator(CrashingFiles())
    await made.open()
    old = await made.elect(1)
    new = await made.elect(1)
    with pytest.raises(FencedError, match="controller: epoch 1 is fenced by 2"):
        await made.write([created("a")], old.epoch)
    assert await made.open() == []
    await made.write([created("a")], new.epoch)


async def test_a_broker_id_belongs_to_one_live_broker() -> None:
    made = coordinator(CrashingFiles())
    await made.open()
    registration = BrokerRegistration(broker_id=1, epoch=0, endpoints=(), rack="r")
    assert await made.register(registration) == 1
    with pytest.raises(FencedError, match="broker 1"):
        await made.register(registration)
    (live,) = await made.brokers()
    assert (live.broker_id, live.epoch, live.rack) == (1, 1, "r")


async def test_the_office_stays_with_a_live_controller() -> None:
    made = coordinator(CrashingFiles())
    await made.open()
    for broker_id in (1, 2):
        await made.register(BrokerRegistration(broker_id=broker_id, epoch=0, endpoints=()))
    first = await made.elect(1)
    assert await made.elect(2) == first


async def test_two_processes_on_one_directory_fence_the_older(tmp_path: Path) -> None:
    older = coordinator(OsFiles(), tmp_path)
    await older.open()
    newer = coordinator(OsFiles(), tmp_path)
    await newer.open()
    await newer.write([created("a")], 0)
    with pytest.raises(FencedError, match="journal"):
        await older.write([created("b")], 0)
    await newer.write([created("c")], 0)
    await older.close()
    await newer.close()


class FailingFiles(OsFiles):
    """A disk whose sync fails from the nth on, or that has no room for whole files."""

    def __init__(self, good_syncs: int, *, is_full: bool = False) -> None:
        super().__init__()
        self.good_syncs = good_syncs
        self.is_full = is_full

    def open(self, path: Path) -> Any:
        files, real = self, super().open(path)

        class FailingFile:
            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def sync(self) -> None:
                files.good_syncs -= 1
                if files.good_syncs < 0:
                    raise OSError(5, "Input/output error")
                real.sync()

        return FailingFile()

    def write_file(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        super().write_file(path, content, durable=durable)


async def test_a_failed_sync_is_never_retried(tmp_path: Path) -> None:
    files = FailingFiles(2)
    made = coordinator(files, tmp_path)
    await made.open()
    await made.write([created("a")], 0)
    with pytest.raises(StorageError, match="Input/output error"):
        await made.write([created("b")], 0)
    files.good_syncs = 100
    with pytest.raises(StorageError, match="Input/output error"):
        await made.write([created("c")], 0)
    await made.close()


async def test_the_journal_is_rewritten_when_it_is_mostly_garbage(tmp_path: Path) -> None:
    made = coordinator(OsFiles(), tmp_path, compaction_bytes_min=2000)
    await made.open()
    for round_number in range(200):
        await made.write([created(f"t{round_number}")], 0)
        await made.write([deleted(f"t{round_number}")], 0)
        assert (tmp_path / FILE_NAME).stat().st_size < 2500
    await made.write([created("kept")], 0)
    await made.close()
    again = coordinator(OsFiles(), tmp_path)
    assert await again.open() == [created("kept")]
    assert await again.cluster_id() == await made.cluster_id()
    await again.close()


async def test_a_full_disk_stops_the_rewriting_and_not_the_writing(tmp_path: Path) -> None:
    made = coordinator(FailingFiles(10_000, is_full=True), tmp_path, compaction_bytes_min=500)
    await made.open()
    names = [f"t{number}" for number in range(20)]
    for name in names:
        await made.write([created(name)], 0)
    await made.close()
    again = coordinator(OsFiles(), tmp_path)
    assert await again.open() == [created(name) for name in names]
    await again.close()


async def test_without_a_directory_nothing_is_written() -> None:
    files = CrashingFiles(crash_at=1)
    made = coordinator(files, None)
    await write_history(made, [])
    assert files.calls == 0
    assert len(await made.cluster_id()) == 22


async def test_an_abandoned_write_makes_the_coordinator_unusable(tmp_path: Path) -> None:
    """Cancelled while a thread writes: the line may be on the disk, so going on without it would be a lie."""

    class Never(Executor):
        def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            return Future()

    made = coordinator(OsFiles(), tmp_path)
    await made.open()
    made._executor = Never()
    write = asyncio.ensure_future(made.write([created("a")], 0))
    await asyncio.sleep(0)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    made._executor = CallingThread()
    with pytest.raises(StorageError, match="abandoned half-way"):
        await made.write([created("b")], 0)
    await made.close()
