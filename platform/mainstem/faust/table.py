"""Faust's tables, writing their changelog without a promise per change."""

from __future__ import annotations

from typing import Any

from faust.channels import SerializedChannel
from faust.stores.memory import Store as MemoryStore
from faust.tables.globaltable import GlobalTable as FaustGlobalTable
from faust.tables.table import Table as FaustTable

from mainstem.faust.encoding import Dump, compile_key, compile_value
from mainstem.faust.monitor import Monitor, own_monitor
from mainstem.faust.producer import Producer


class PersistedOffset:
    """Tells a store on disk how far the changelog holds what it has; the producer tells one loop turn after the write."""

    __slots__ = ("table",)

    def __init__(self, table: Any) -> None:
        self.table = table

    def set_result(self, metadata: Any) -> None:
        table = self.table
        if table.app.in_transaction:
            table.app.tables.persist_offset_on_commit(table.data, metadata.topic_partition, metadata.offset)
        else:
            table.data.set_persisted_offset(metadata.topic_partition, metadata.offset)

    def set_exception(self, error: BaseException) -> None:
        """The next flush raises it, and no position is committed."""

    def done(self) -> bool:
        return False


class ChangelogWriter:
    """For a table class in front of Faust's. Falls back to Faust's own way wherever the app changed something of it."""

    _listener: PersistedOffset | None = None
    _is_simple: bool | None = None
    _changelog_name = ""
    _dump_key: Dump | None = None
    _dump_value: Dump | None = None

    def _changelog(self: Any, key: Any, value: Any, monitor: Monitor | None, *, is_removal: bool) -> int | None:
        """Returns the partition; None if Faust has to do it."""
        producer = self.app._producer
        if not isinstance(producer, Producer) or not self._can_write_itself():
            return None
        name, partition = self._changelog_name, self.partition_for_key(key)
        key_bytes = self._dump_key(key)
        value_bytes = None if is_removal else self._dump_value(value)
        if monitor is None:
            record = name, key_bytes, value_bytes, partition, None, None
            return producer.post_telling_sensors(self.changelog_topic, *record, self._listener)
        monitor.sent(name, 1)
        return producer.post(name, key_bytes, value_bytes, partition, None, None, self._listener)

    def _can_write_itself(self: Any) -> bool:
        if self._is_simple is None:
            own = type(self)
            topic = self.changelog_topic
            self._changelog_name = topic.get_topic_name()
            self._dump_key = compile_key(topic, self.key_serializer)
            self._dump_value = compile_value(topic, self.value_serializer)
            self._listener = None if type(self.data) is MemoryStore else PersistedOffset(self)
            self._is_simple = (
                own.send_changelog is FaustTable.send_changelog
                and own._on_changelog_sent is FaustTable._on_changelog_sent
                and type(topic).prepare_key is SerializedChannel.prepare_key
                and type(topic).prepare_value is SerializedChannel.prepare_value
                and self._dump_key is not None
                and self._dump_value is not None
            )
        return bool(self._is_simple)

    def on_key_get(self: Any, key: Any) -> None:
        monitor = own_monitor(self.app)
        if monitor is None:
            self._sensor_on_get(self, key)
        else:
            monitor.counted_key(self).keys_retrieved += 1

    def on_key_set(self: Any, key: Any, value: Any) -> None:
        monitor = own_monitor(self.app)
        partition = self._changelog(key, value, monitor, is_removal=False)
        if partition is None:
            super().on_key_set(key, value)  # type: ignore[misc]
            return
        if self.window is not None:
            self._maybe_set_key_ttl(key, partition)
        if monitor is None:
            self._sensor_on_set(self, key, value)
        else:
            monitor.counted_key(self).keys_updated += 1

    def on_key_del(self: Any, key: Any) -> None:
        monitor = own_monitor(self.app)
        partition = self._changelog(key, None, monitor, is_removal=True)
        if partition is None:
            super().on_key_del(key)  # type: ignore[misc]
            return
        if self.window is not None:
            self._maybe_del_key_ttl(key, partition)
        if monitor is None:
            self._sensor_on_del(self, key)
        else:
            monitor.counted_key(self).keys_deleted += 1


class Table(ChangelogWriter, FaustTable[Any, Any]):
    pass


class GlobalTable(ChangelogWriter, FaustGlobalTable):
    pass
