"""Faust's transport `mainstem://`, `memory://` and `mainstem+…://`: installed by the entry point `faust.transports`."""

from __future__ import annotations

from typing import Any, ClassVar

from faust.transport import base

from mainstem.faust.conductor import Conductor
from mainstem.faust.consumer import Consumer
from mainstem.faust.metrics import register
from mainstem.faust.producer import Producer
from mainstem.faust.session import Session, run_options, shared_session
from mainstem.faust.topics import TopicCounts
from mainstem.faust.transactions import TransactionManager


class Transport(base.Transport):
    """Faust makes one per app, at import time: nothing is opened before the app starts."""

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer
    Conductor: ClassVar[Any] = Conductor
    TransactionManager: ClassVar[Any] = TransactionManager

    driver_version = "mainstem"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.options = run_options(self.url)
        self.counts = TopicCounts(self.app)
        self._session: Session | None = None
        self._users = 0

    @property
    def is_acquired(self) -> bool:
        return self._session is not None

    @property
    def session(self) -> Session:
        assert self._session is not None, "acquired by whoever uses it"
        return self._session

    async def acquire(self) -> None:
        """Raises: ConfigError, PluginError, TransportError."""
        session = self._session or shared_session(self.options)
        await session.acquire()
        if self._session is None:
            assert session.environment is not None, "open now"
            register(session.environment.context.sensor, self.app)
        self._session = session
        self._users += 1
        self.counts.use(session.transport)

    async def release(self) -> None:
        self._users -= 1
        session = self.session
        if not self._users:
            self.counts.use(None)
            self._session = None
        await session.release()
