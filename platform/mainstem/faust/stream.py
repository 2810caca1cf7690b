"""Faust's stream with a loop of its own: events are taken from the channel's queue one by one, without a task switch for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from weakref import ref

from faust.exceptions import Skip
from faust.streams import Stream as FaustStream
from faust.streams import _current_event
from faust.types import ChannelT, EventT
from mode.utils.futures import maybe_async, notify

from mainstem.faust.consumer import Consumer
from mainstem.faust.monitor import own_monitor

TURN_EVENTS = 128


class Stream(FaustStream[Any]):
    """Others get their turn every 128 events, and whenever there is nothing to read.

    Events stay in the queue until they are worked on: an actor that is restarted after an exception, `concurrency` and
    `flow_control.clear()` all count on that.
    """

    def __aiter__(self) -> AsyncIterator[Any]:
        consumer = self.app._consumer  # type: ignore[attr-defined]  # the property would make one
        if not isinstance(self.channel, ChannelT) or not isinstance(consumer, Consumer):
            return super().__aiter__()
        found: AsyncIterator[Any] = self._iterate(self.channel, consumer)
        self._active_agens.add(found)  # type: ignore[arg-type]
        return found

    async def _iterate(self, channel: Any, consumer: Consumer) -> Any:
        self._finalized = True
        started_here = await self.maybe_start()
        consumer.watch(self)
        app: Any = self.app
        queue = channel.queue
        waiting, errors, pressure = queue._queue, queue._errors, queue._pending_pressure_drop_callbacks
        gate = consumer.transactions.gate if consumer.in_transaction else None  # type: ignore[attr-defined]
        stopped, crashed, flow = self._stopped, self._crashed, app.flow_control
        processors, set_current, turn = self._processors, _current_event.set, 0
        try:
            while not (stopped.is_set() or crashed.is_set()):
                if gate is not None and gate.is_closed:
                    await gate.wait()
                    continue
                turn += 1
                if turn == TURN_EVENTS:
                    turn = 0
                    if pressure:
                        queue.maybe_endorse_pressure_drop()
                    await asyncio.sleep(0)
                    continue
                if errors:
                    raise errors.popleft()
                event = waiting.popleft() if waiting else await channel.__anext__()
                if not isinstance(event, EventT):
                    async for value in self._plain(event):
                        yield value
                    continue
                message = event.message
                if message.generation_id != app.consumer_generation_id or not flow.is_active():
                    # Not acknowledged: whoever has the partition now reads it again.
                    continue
                if gate is not None and gate.is_closed:
                    waiting.appendleft(event)
                    continue
                do_ack = self.enable_acks
                state = None
                if is_told := own_monitor(app) is None:
                    state = self._tell_in(event, message)
                if not do_ack:
                    consumer.unacked.add(message)
                set_current(ref(event))
                self.current_event = event
                value = event.value
                is_skipped = False
                if processors or self.join_strategy is not None:
                    try:
                        value = await self._process(value)
                    except Skip:
                        is_skipped = True
                try:
                    if not is_skipped:
                        self.events_total += 1
                        yield value
                finally:
                    self.current_event = None
                    if do_ack or is_skipped:
                        self._ack(event, message, consumer, is_told=is_told, state=state)
        except StopAsyncIteration:
            # Put into the queue by an actor that is cancelled; it must not leave a generator.
            return
        finally:
            self._channel_stop_iteration(channel)
            if started_here:
                await self.stop()
                self.service_reset()

    async def _process(self, value: Any) -> Any:
        for processor in self._processors:
            value = await maybe_async(processor(value))
        return await self.on_merge(value)

    async def _plain(self, value: Any) -> Any:
        """A value that is no event, from a channel that somebody fills by hand."""
        self.current_event = None
        _current_event.set(None)
        try:
            value = await self._process(value)
        except Skip:
            return
        self.events_total += 1
        yield value

    def _tell_in(self, event: Any, message: Any) -> Any:
        """Sensors that are not ours hear of each event, as in Faust."""
        if self.app.topics.acks_enabled_for(message.topic) and not message.tracked:
            message.tracked = True
            self._on_message_in(message.tp, message.offset, message)
        return self._on_stream_event_in(message.tp, message.offset, self, event)

    def _ack(self, event: Any, message: Any, consumer: Consumer, *, is_told: bool, state: Any) -> None:
        is_last = False
        if not message.acked:
            message.refcount -= 1
            if message.refcount <= 0:
                acks = getattr(message, "acks", None)
                if acks is None:
                    is_last = message.on_final_ack(consumer)
                else:
                    message.acked = True
                    is_last = acks.ack(message.offset)
                    if consumer._waiting_for_ack is not None:
                        notify(consumer._waiting_for_ack)
        if is_told:
            self._on_stream_event_out(message.tp, message.offset, self, event, state)
            if is_last:
                self._on_message_out(message.tp, message.offset, message)
