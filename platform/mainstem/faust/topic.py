"""Faust's topic, sending without a promise, a partial and three callbacks per record."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

from faust.topics import Topic as FaustTopic
from faust.types import RecordMetadata

from mainstem.faust.encoding import Encoder, compile_encoder
from mainstem.faust.monitor import own_monitor
from mainstem.faust.producer import ROOM_RECORDS, Producer


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
        if not is_plain or app._attachments.enabled:
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
        opened = self.prepare_headers(headers) if headers is not None else {}
        encoder = self._encoder if schema is None and key_serializer is None and value_serializer is None else None
        if encoder is not None:
            sent_key, sent_value = encoder.key(key), encoder.value(value)
        else:
            sent_key, opened = self.prepare_key(key, key_serializer, schema, opened)
            sent_value, opened = self.prepare_value(value, value_serializer, schema, opened)
        name = self.topics[0] if len(self.topics) == 1 else self.get_topic_name()
        if producer.counts.known(name) is None:
            await producer.know(name)
        if producer.waiting_records >= ROOM_RECORDS:
            await producer.wait_for_room()
        sent: asyncio.Future[RecordMetadata] = asyncio.Future(loop=producer.loop)
        monitor = own_monitor(app)
        if monitor is None:
            producer.post_telling_sensors(self, name, sent_key, sent_value, partition, timestamp, opened, sent)
        else:
            producer.post(name, sent_key, sent_value, partition, timestamp, opened, sent)
            monitor.sent(name, 1)
        return sent

    @cached_property
    def _encoder(self) -> Encoder | None:
        """Compiled at the first send: the app's serializers are not known when a topic is made."""
        return compile_encoder(self, self.key_serializer, self.value_serializer)
