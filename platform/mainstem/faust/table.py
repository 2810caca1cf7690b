"""Faust's tables, writing their changelog without a promise per change."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from faust.stores.memory import Store as MemoryStore
from faust.tables.globaltable import GlobalTable as FaustGlobalTable
from faust.tables.table import Table as FaustTable

from mainstem.faust.encoding import Encoder, compile_encoder
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


class DirectWriter:
    """How a table writes its changelog by itself. `listener` is None for a store that keeps no offsets."""

    __slots__ = ("encoder", "listener", "name", "topic")

    def __init__(self, topic: Any, encoder: Encoder, listener: PersistedOffset | None) -> None:
        self.topic = topic
        self.name: str = topic.get_topic_name()
        self.encoder = encoder
        self.listener = listener


class ChangelogWriter:
    """For a table class in front of Faust's. Falls back to Faust's own way wherever the app changed something of it."""

    @cached_property
    def _writer(self: Any) -> DirectWriter | None:
        """Made at the first change: neither the store nor the app's serializers are known when a table is made."""
        own, topic = type(self), self.changelog_topic
        is_changed = own.send_changelog is not FaustTable.send_changelog
        if is_changed or own._on_changelog_sent is not FaustTable._on_changelog_sent:
            return None
        encoder = compile_encoder(topic, self.key_serializer, self.value_serializer)
        if encoder is None:
            return None
        return DirectWriter(topic, encoder, None if type(self.data) is MemoryStore else PersistedOffset(self))

    def _changelog(self: Any, key: Any, value: Any, monitor: Monitor | None, *, is_removal: bool) -> int | None:
        """Returns the partition; None if Faust has to do it."""
        producer, writer = self.app._producer, self._writer
        if writer is None or not isinstance(producer, Producer):
            return None
        partition = self.partition_for_key(key)
        name, encoder, listener = writer.name, writer.encoder, writer.listener
        key_bytes = encoder.key(key)
        value_bytes = None if is_removal else encoder.value(value)
        if monitor is None:
            record = name, key_bytes, value_bytes, partition, None, None
            return producer.post_telling_sensors(writer.topic, *record, listener)
        monitor.sent(name, 1)
        return producer.post(name, key_bytes, value_bytes, partition, None, None, listener)

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
