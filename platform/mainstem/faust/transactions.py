"""`processing_guarantee="exactly_once"`: one transactional producer per worker (KIP-447), fenced by the worker's membership.

Faust sends through the app's producer as always; the records go into the transaction that is open. A commit waits at a gate until
no agent is inside an event, so that a transaction holds all that its positions have caused and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from faust.transport.consumer import TransactionManager as FaustTransactionManager
from faust.types import TP

from mainstem.api.transport import Committed, TransactionalProducer, TransportError
from mainstem.app.instances import claimed_instance
from mainstem.faust.recovery import TableManager
from mainstem.faust.sending import Appender
from mainstem.model.ids import TopicPartition

GATE_WAIT_S = 10.0


class Gate:
    """Streams pass it before they take an event. Closed, it lets nobody in; who is in comes out."""

    def __init__(self) -> None:
        self._is_open = asyncio.Event()
        self._is_open.set()
        self.is_closed = False

    async def wait(self) -> None:
        await self._is_open.wait()

    def close(self) -> None:
        self.is_closed = True
        self._is_open.clear()

    def open(self) -> None:
        self.is_closed = False
        self._is_open.set()


class TransactionManager(FaustTransactionManager):
    """What cannot be committed crashes the app: its tables hold values that nobody will ever see, and only a new start recovers
    them from the changelogs."""

    def __post_init__(self) -> None:
        self.gate = Gate()
        self._claim = ExitStack()
        self._transaction: TransactionalProducer | None = None

    async def on_stop(self) -> None:
        self.producer.use(None)  # type: ignore[attr-defined]
        if self._transaction is not None:
            await self._transaction.close()
            self._transaction = None
        self._claim.close()

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP]) -> None:
        """The first assignment takes the transactional id over; what a crash left open is aborted there."""
        if self._transaction is None:
            instance = self._claim.enter_context(claimed_instance(self.app.conf.appdir))
            session = self.transport.session  # type: ignore[attr-defined]
            self._transaction = session.transport.transactional_producer(f"{self.app.conf.id}-{instance}")
            await self._transaction.open()
        await self._begin()

    async def _begin(self) -> None:
        assert self._transaction is not None, "opened by the first rebalance"
        if not self.producer.has_transaction:  # type: ignore[attr-defined]
            await self._transaction.begin()
            self.producer.use(Appender(self._transaction))  # type: ignore[attr-defined]

    @asynccontextmanager
    async def quiet(self, consumer: Any) -> AsyncIterator[bool]:
        """No agent is inside an event. False if one did not come out in time: then nothing may be committed now."""
        self.gate.close()
        try:
            yield await self._settled(consumer)
        finally:
            self.gate.open()

    async def _settled(self, consumer: Any) -> bool:
        deadline = asyncio.get_running_loop().time() + GATE_WAIT_S
        while consumer.unacked:
            if asyncio.get_running_loop().time() > deadline:
                self.log.warning("An agent is inside one event for %s s: the transaction stays open", GATE_WAIT_S)
                return False
            await asyncio.sleep(0.001)
        return True

    async def commit(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """Results, changelogs and positions at once, or the app crashes."""
        if self._transaction is None or not self.producer.has_transaction:  # type: ignore[attr-defined]
            return False
        told = {TopicPartition(*tp): Committed(at) for tp, at in offsets.items()}
        consumer: Any = self.consumer
        try:
            await self.producer.detach()  # type: ignore[attr-defined]
            await self._transaction.commit(told, consumer.source)
        except TransportError as error:
            self.log.error("The transaction cannot be committed: %s", error)
            await self._abort()
            await self.app.crash(error)
            return False
        consumer.remember_committed(offsets)
        tables: Any = self.app.tables
        if isinstance(tables, TableManager):
            tables.on_transaction_committed()
        if start_new_transaction:
            await self._begin()
        return True

    async def _abort(self) -> None:
        assert self._transaction is not None, "opened before it aborts"
        self.producer.use(None)  # type: ignore[attr-defined]
        try:
            await self._transaction.abort()
        except TransportError as error:
            self.log.warning("The transaction cannot be aborted, its timeout will do that: %s", error)

    async def send(self, *args: Any, transactional_id: str | None = None, **kwargs: Any) -> Any:
        return await self.producer.send(*args, **kwargs)

    async def send_and_wait(self, *args: Any, transactional_id: str | None = None, **kwargs: Any) -> Any:
        return await self.producer.send_and_wait(*args, **kwargs)

    def send_soon(self, fut: Any) -> None:
        self.producer.send_soon(fut)

    def key_partition(self, topic: str, key: bytes) -> TP:
        return self.producer.key_partition(topic, key)
