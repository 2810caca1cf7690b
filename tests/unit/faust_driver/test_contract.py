"""Names of Faust and mode that the driver uses and nobody has promised. A new Faust that lacks one fails here, by its name."""

from __future__ import annotations

import inspect
from typing import Any

import faust
import pytest
from faust.agents.replies import ReplyConsumer
from faust.app.base import App
from faust.assignor.client_assignment import ClientAssignment
from faust.assignor.partition_assignor import PartitionAssignor
from faust.channels import SerializedChannel
from faust.serializers import codecs
from faust.serializers.registry import Registry
from faust.serializers.schemas import Schema
from faust.streams import Stream
from faust.tables.base import Collection
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.tables.table import Table
from faust.topics import Topic
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer, Fetcher
from faust.types.tuples import Message, PendingMessage
from mode.utils.queues import FlowControlQueue, ThrowableQueue

NAMES: list[tuple[Any, list[str]]] = [
    (App, ["_on_partitions_revoked", "_on_partitions_assigned", "_update_assignment", "on_rebalance_start"]),
    (App, ["_consumer", "_producer", "_monitor", "producer_only", "client_only"]),
    (Consumer, ["_filter_tps_with_pending_acks", "_new_offset", "_commit", "force_commit", "wait_empty"]),
    (Consumer, ["_set_active_tps", "_is_changelog_tp", "_waiting_for_ack", "_drain_messages", "unacked"]),
    (Fetcher, ["_fetcher", "on_stop"]),
    (Conductor, ["_resubscribe_sleep_lock_seconds", "_update_callback_map", "add", "discard", "on_client_only_start"]),
    (Stream, ["_channel_stop_iteration", "on_merge", "_finalized", "noack", "take"]),
    (Topic, ["_compile_decode", "prepare_headers", "send", "get_topic_name"]),
    (SerializedChannel, ["prepare_key", "prepare_value"]),
    (
        Collection,
        ["send_changelog", "_on_changelog_sent", "partition_for_key", "_maybe_set_key_ttl", "_maybe_del_key_ttl"],
    ),
    (Table, ["on_key_get", "on_key_set", "on_key_del", "apply_changelog_batch"]),
    (TableManager, ["persist_offset_on_commit", "changelog_queue", "changelog_topics", "on_standbys_ready"]),
    (Recovery, ["_restart_recovery", "_slurp_changelogs", "_resume_streams", "on_recovery_completed", "need_recovery"]),
    (Recovery, ["_set_recovery_started", "_set_recovery_ended", "signal_recovery_end", "standby_remaining_total"]),
    (Schema, ["loads_key", "loads_value", "dumps_key", "dumps_value", "compile", "on_dumps_key_prepare_headers"]),
    (Registry, ["loads_key", "loads_value", "dumps_key", "dumps_value"]),
    (PartitionAssignor, ["on_assignment", "version"]),
    (ClientAssignment, ["kafka_protocol_assignment"]),
    (ThrowableQueue, ["clear", "get", "_throw"]),
    (FlowControlQueue, ["maybe_endorse_pressure_drop"]),
    (ReplyConsumer, ["_start_fetcher"]),
    (codecs, ["json", "get_codec", "Codec"]),
]


@pytest.mark.parametrize(("owner", "names"), NAMES, ids=lambda value: getattr(value, "__name__", None))
def test_names_are_there(owner: Any, names: list[str]) -> None:
    assert [name for name in names if not hasattr(owner, name)] == []


def test_slots_of_a_message_are_those_that_delivery_fills() -> None:
    filled = {"offset", "key", "value", "timestamp", "headers", "refcount", "acked"}
    of_the_class = {"topic", "partition", "tp", "generation_id", "timestamp_type", "checksum"}
    lazily = {"time_in", "time_out", "time_total", "tracked", "serialized_key_size", "serialized_value_size"}
    assert set(Message.__slots__) - {"span", "__weakref__"} == filled | of_the_class | lazily


def test_a_pending_message_has_the_fields_that_sensors_are_told() -> None:
    assert PendingMessage._fields[:10] == (
        "channel",
        "key",
        "value",
        "partition",
        "timestamp",
        "headers",
        "key_serializer",
        "value_serializer",
        "callback",
        "topic",
    )


def test_attributes_that_faust_sets_when_it_makes_an_object() -> None:
    app = faust.App("contract", broker="memory://contract", web_enabled=False)
    assert isinstance(app.sensors._sensors, set)
    queue = app.FlowControlQueue(maxsize=1, clear_on_resume=True)
    for name in ("_queue", "_errors", "_getters", "_unfinished_tasks", "_finished", "_pending_pressure_drop_callbacks"):
        assert hasattr(queue, name), name
    for name in ("_topics", "_topic_name_index", "_tp_index", "_acking_topics"):
        assert hasattr(app.topics, name), name
    for name in ("_Stream", "_Topic", "_Table", "_GlobalTable", "_TableManager", "_Monitor", "_broker"):
        assert hasattr(app.conf, name), name


def test_the_settings_installed_by_the_fixup_leave_other_apps_alone() -> None:
    ours = faust.App("ours", broker="memory://contract", web_enabled=False)
    theirs = faust.App("theirs", broker="kafka://localhost:9092", web_enabled=False)

    class MyTable(faust.Table):  # type: ignore[type-arg]
        pass

    chosen = faust.App("chosen", broker="memory://contract", web_enabled=False, Table=MyTable)
    assert ours.conf.Stream.__module__ == "mainstem.faust.stream"
    assert theirs.conf.Stream is faust.Stream
    assert theirs.conf.Monitor is faust.Monitor
    assert chosen.conf.Table is MyTable
    assert chosen.conf.Stream.__module__ == "mainstem.faust.stream"


def test_a_rebalance_waits_for_the_subscription_that_faust_announces() -> None:
    """Why `subscribe` returns before the rebalance: the callback of the assignment waits for this."""
    assert "maybe_wait_for_subscriptions" in inspect.getsource(App._on_partitions_assigned)
    assert "flow_control.resume()" in inspect.getsource(Recovery.on_recovery_completed)
