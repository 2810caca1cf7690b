"""Faust's topic, sending without a promise, a partial and three callbacks per record."""

from __future__ import annotations

import asyncio
from typing import Any

from faust.topics import Topic as FaustTopic
from faust.types import RecordMetadata

from mainstem.faust.monitor import own_monitor
from mainstem.faust.producer import Producer


class Topic(FaustTopic):
    """`send` returns a future of the record's metadata, as in Faust; so does everything that is built on it."""

    async def send(
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = None,
        schema: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        force: bool = False,
    ) -> Any:
        app: Any = self.app
        producer = app._producer
        is_plain = callback is None and isinstance(producer, Producer) and producer.started
        monitor = own_monitor(app) if is_plain else None
        if monitor is None or app._attachments.enabled or (app.in_transaction and not producer.has_transaction):
            return await super().send(
                key=key,
                value=value,
                partition=partition,
                timestamp=timestamp,
                headers=headers,
                schema=schema,
                key_serializer=key_serializer,
                value_serializer=value_serializer,
                callback=callback,
                force=force,
            )
        opened = self.prepare_headers(headers)
        sent_key, opened = self.prepare_key(key, key_serializer, schema, opened)
        sent_value, opened = self.prepare_value(value, value_serializer, schema, opened)
        name = self.topics[0] if len(self.topics) == 1 else self.get_topic_name()
        await producer.know(name)
        await producer.wait_for_room()
        sent: asyncio.Future[RecordMetadata] = producer.loop.create_future()
        sent.add_done_callback(_seen)
        producer.post(name, sent_key, sent_value, partition, timestamp, opened, sent)
        monitor.sent(name, 1)
        return sent


def _seen(sent: asyncio.Future[Any]) -> None:
    """The failure of a send that nobody awaits stops the app at its next commit and need not be told here too."""
    if not sent.cancelled():
        sent.exception()
