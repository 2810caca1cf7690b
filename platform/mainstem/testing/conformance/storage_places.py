"""Checks of the store as a place: logs beside each other, deletion, properties, checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mainstem.api.storage import SidecarKind
from mainstem.model.ids import TopicId, TopicPartition
from mainstem.testing.conformance.storage_samples import (
    PARTITION,
    TOPIC_ID,
    MakeStore,
    append,
    batch_at,
    filled,
    in_segments,
    read_all,
)

OTHER = TopicPartition("orders", 1)
OTHER_ID = TopicId(bytes(range(1, 17)))


def check_logs_do_not_know_each_other(make_store: MakeStore) -> None:
    store = make_store()
    first, second = store.open_log(PARTITION, TOPIC_ID), store.open_log(OTHER, TOPIC_ID)
    for offset in range(6):
        append(first, batch_at(offset, payload=b"first"))
        append(second, batch_at(offset, payload=b"second"))
    for log in (first, second):
        log.roll(6)
        append(log, batch_at(6))
    first.truncate(3)
    first.flush()
    assert (read_all(first), read_all(second)) == ([0, 1, 2], list(range(7)))
    second.delete_before(6)
    assert (read_all(first), read_all(second)) == ([0, 1, 2], [6])
    assert b"second" not in bytes(first.read(0, 3, 1 << 20))
    assert sorted(store.existing()) == [(PARTITION, TOPIC_ID), (OTHER, TOPIC_ID)]


def check_sidecars_belong_to_one_log(make_store: MakeStore) -> None:
    store = make_store()
    first, second = store.open_log(PARTITION, TOPIC_ID), store.open_log(OTHER, TOPIC_ID)
    for log, content in ((first, b"first"), (second, b"second")):
        log.put_sidecar(SidecarKind.LEADER_EPOCHS, 0, content)
        log.put_sidecar(SidecarKind.TRANSACTION_INDEX, 7, content)
    first.delete_sidecar(SidecarKind.TRANSACTION_INDEX, 7)
    first.delete_sidecar(SidecarKind.TRANSACTION_INDEX, 8)
    first.put_sidecar(SidecarKind.LEADER_EPOCHS, 0, b"newer")
    assert first.get_sidecar(SidecarKind.LEADER_EPOCHS, 0) == b"newer"
    assert second.get_sidecar(SidecarKind.LEADER_EPOCHS, 0) == b"second"
    assert list(first.sidecars(SidecarKind.TRANSACTION_INDEX)) == []
    assert list(second.sidecars(SidecarKind.TRANSACTION_INDEX)) == [7]
    assert list(second.sidecars(SidecarKind.LEADER_EPOCHS)) == [0]


def check_a_deleted_name_is_free_at_once(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3))
    log.put_sidecar(SidecarKind.LEADER_EPOCHS, 0, b"old")
    for number in range(3):
        log.close()
        store.delete_log(PARTITION)
        assert list(store.existing()) == []
        log = store.open_log(PARTITION, OTHER_ID)
        assert (log.end_offset, log.size, read_all(log)) == (0, 0, [])
        assert list(log.sidecars(SidecarKind.LEADER_EPOCHS)) == []
        append(log, batch_at(0, payload=b"%d" % number))
        log.flush()
    store.purge()
    assert read_all(log) == [0]
    assert list(store.existing()) == [(PARTITION, OTHER_ID)]
    store.delete_log(OTHER)


def check_another_topic_of_that_name_begins_empty(make_store: MakeStore) -> None:
    store, log = in_segments(make_store, (0, 1), (2, 3))
    log.flush()
    log.close()
    log = store.open_log(PARTITION, OTHER_ID)
    assert (log.end_offset, log.size) == (0, 0)
    append(log, batch_at(0))
    log.flush()
    store.purge()
    assert list(store.existing()) == [(PARTITION, OTHER_ID)]
    assert read_all(log) == [0]


def check_a_transaction_index_goes_with_its_segment(make_store: MakeStore) -> None:
    _, log = in_segments(make_store, (0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11))
    for base in range(0, 12, 2):
        log.put_sidecar(SidecarKind.TRANSACTION_INDEX, base, b"%d" % base)
    log.delete_before(2)
    assert list(log.sidecars(SidecarKind.TRANSACTION_INDEX)) == [2, 4, 6, 8, 10]
    log.truncate(9)
    assert list(log.sidecars(SidecarKind.TRANSACTION_INDEX)) == [2, 4, 6, 8]
    rewrite = log.rewrite(2, 6)
    rewrite.finish()
    assert log.replace(rewrite)
    assert list(log.sidecars(SidecarKind.TRANSACTION_INDEX)) == [2, 6, 8]
    assert log.get_sidecar(SidecarKind.TRANSACTION_INDEX, 2) == b"2"
    log.reset(100)
    assert list(log.sidecars(SidecarKind.TRANSACTION_INDEX)) == []


def check_purge_takes_nothing_that_is_wanted(make_store: MakeStore) -> None:
    """In a thread, beside appends and deletions."""
    store = make_store()
    log = store.open_log(PARTITION, TOPIC_ID)
    is_done = threading.Event()
    failures: list[BaseException] = []

    def purge() -> None:
        try:
            while not is_done.wait(0.0005):
                store.purge()
        except BaseException as error:
            failures.append(error)

    purger = threading.Thread(target=purge)
    purger.start()
    try:
        for offset in range(200):
            if offset % 20 == 0:
                log.roll(offset)
                log.delete_before(offset - 20)
            append(log, batch_at(offset))
            if offset % 50 == 0:
                other = store.open_log(OTHER, TOPIC_ID)
                append(other, batch_at(0))
                other.close()
                store.delete_log(OTHER)
    finally:
        is_done.set()
        purger.join()
    assert failures == []
    store.purge()
    first = log.segments()[0].base_offset
    assert first >= 160
    assert read_all(log) == list(range(first, 200))


def check_properties_are_replaced_as_a_whole(make_store: MakeStore) -> None:
    store = make_store()
    assert dict(store.read_properties()) == {}
    store.write_properties({"cluster.id": "MkU3OEVBNTcwNTJENDM2Qk", "node.id": "1"})
    store.write_properties({"cluster.id": "MkU3OEVBNTcwNTJENDM2Qk", "version": "1"})
    assert dict(store.read_properties()) == {"cluster.id": "MkU3OEVBNTcwNTJENDM2Qk", "version": "1"}
    assert list(store.existing()) == []


def check_checkpoints_are_replaced_as_a_whole(make_store: MakeStore) -> None:
    store = make_store()
    assert dict(store.read_checkpoint("some")) == {}
    store.write_checkpoint("some", {PARTITION: 3, OTHER: 1 << 40})
    store.write_checkpoint("other", {PARTITION: 9})
    store.write_checkpoint("some", {OTHER: 5})
    assert dict(store.read_checkpoint("some")) == {OTHER: 5}
    assert dict(store.read_checkpoint("other")) == {PARTITION: 9}
    many = {TopicPartition("t", number): number for number in range(1000)}
    store.write_checkpoint("some", many)
    assert dict(store.read_checkpoint("some")) == many


def check_deletions_survive_a_restart(make_store: MakeStore) -> None:
    store, log = filled(make_store)
    other = store.open_log(OTHER, TOPIC_ID)
    append(other, batch_at(0))
    for each in (log, other):
        each.flush()
        each.close()
    store.delete_log(PARTITION)
    log = store.open_log(PARTITION, OTHER_ID)
    append(log, batch_at(0))
    log.flush()
    log.close()
    store.delete_log(OTHER)
    store.write_properties({"node.id": "7"})
    store.close(clean=True)
    store = make_store()
    assert list(store.existing()) == [(PARTITION, OTHER_ID)]
    assert dict(store.read_properties()) == {"node.id": "7"}
    store.purge()
    assert read_all(store.open_log(PARTITION, OTHER_ID)) == [0]
    store.close(clean=True)


def check_sidecars_survive_a_restart_after_a_flush(make_store: MakeStore) -> None:
    """Without the mark of a clean stop: a flush promises them by itself."""
    store, log = filled(make_store)
    log.put_sidecar("snapshot", 5, b"five")
    log.put_sidecar("snapshot", 10, b"old")
    log.put_sidecar("snapshot", 10, b"ten")
    log.put_sidecar("snapshot", 7, b"seven")
    log.delete_sidecar("snapshot", 7)
    log.flush()
    log.close()
    store.close(clean=False)
    log = make_store().open_log(PARTITION, TOPIC_ID)
    assert list(log.sidecars("snapshot")) == [5, 10]
    assert log.get_sidecar("snapshot", 10) == b"ten"


CHECKS: tuple[Callable[[MakeStore], None], ...] = (
    check_logs_do_not_know_each_other,
    check_sidecars_belong_to_one_log,
    check_a_deleted_name_is_free_at_once,
    check_another_topic_of_that_name_begins_empty,
    check_a_transaction_index_goes_with_its_segment,
    check_purge_takes_nothing_that_is_wanted,
    check_properties_are_replaced_as_a_whole,
    check_checkpoints_are_replaced_as_a_whole,
)
DURABLE_CHECKS: tuple[Callable[[MakeStore], None], ...] = (
    check_deletions_survive_a_restart,
    check_sidecars_survive_a_restart_after_a_flush,
)
