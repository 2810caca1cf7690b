"""One connection to a NATS server: requests that outlast a lost connection, and its errors in words."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from mainstem.api.context import PluginContext
from mainstem.api.transport import TransportError
from mainstem_plugins.transport_nats import NatsConfig

R = TypeVar("R")
REACH_TIMEOUT_S = 10.0
RECONNECT_WAIT_S = 0.1
ATTEMPT_TIMEOUT_S = 2.0
AGAIN_FIRST_S, AGAIN_MAX_S = 0.02, 1.0
PENDING_BYTES_MAX = 16 * 1024 * 1024
# "wrong last sequence", with and without the sequence in its text (2.12).
WRONG_SEQUENCE = frozenset({10071, 10164})
NO_STREAM = 10059
NO_JETSTREAM = frozenset({10039, 10076})
PASSING = (
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.StaleConnectionError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.ServiceUnavailableError,
)


class Missing(TransportError):
    """The stream or key does not exist."""


class NoMessage(TransportError):
    """The stream exists and has no such message."""


class Conflict(TransportError):
    """Somebody else wrote meanwhile: compare-and-set refused."""


def in_words(error: Exception, what: str) -> TransportError:
    if isinstance(error, nats.js.errors.KeyNotFoundError | nats.js.errors.BucketNotFoundError):
        return Missing(f"{what}: it does not exist")
    if isinstance(error, nats.js.errors.NotFoundError):
        is_stream = error.err_code == NO_STREAM
        return Missing(f"{what}: its stream does not exist") if is_stream else NoMessage(f"{what}: no such message")
    if isinstance(error, nats.js.errors.KeyWrongLastSequenceError):
        return Conflict(f"{what}: somebody else wrote meanwhile")
    if isinstance(error, nats.js.errors.APIError) and error.err_code in WRONG_SEQUENCE:
        return Conflict(f"{what}: somebody else wrote meanwhile")
    if isinstance(error, nats.js.errors.APIError):
        return TransportError(f"{what}: {error.description} (error {error.err_code})")
    if isinstance(error, nats.errors.NoRespondersError | nats.js.errors.NoStreamResponseError):
        return TransportError(
            f"{what}: nobody answers; is JetStream switched on (nats-server -js), are all servers up?"
        )
    if isinstance(error, nats.errors.TimeoutError):
        return TransportError(f"{what}: no answer in time; check that the NATS server is running")
    return TransportError(f"{what}: {error or type(error).__name__}")


class NatsConnection:
    """Whoever waits for something that a lost connection took with it is woken through `on_connected`."""

    def __init__(self, config: NatsConfig, context: PluginContext, address: str) -> None:
        self.config = config
        self.clock = context.clock
        self.log = context.log
        self._is_open = False
        self.client = Client()
        self.on_connected: set[Callable[[], None]] = set()
        self._address = address
        self._told = ""
        self._js: JetStreamContext | None = None

    @property
    def js(self) -> JetStreamContext:
        assert self._js is not None, "opened before use"
        return self._js

    async def open(self) -> None:
        """Raises: TransportError."""
        timeout_s = min(REACH_TIMEOUT_S, self.config.request_timeout_ms / 1000)
        ends_ms = self.clock.monotonic_ms() + int(timeout_s * 1000)
        while (refused := await self._connect()) is not None:
            await self.client.close()
            is_final = "authorization" in str(refused).lower() or isinstance(refused, ssl.SSLError)
            if is_final or self.clock.monotonic_ms() >= ends_ms:
                said = self._told or str(refused) or type(refused).__name__
                raise TransportError(
                    f"no NATS server answers at {self._address}; check the address and that it is running (it said: {said})"
                ) from refused
            self.client = Client()
            await asyncio.sleep(RECONNECT_WAIT_S)
        self._is_open = True
        self._js = self.client.jetstream(timeout=ATTEMPT_TIMEOUT_S)
        what = f"JetStream of the NATS server at {self._address} cannot be used"
        try:
            await self.call(what, self.js.account_info, timeout_s)
        except BaseException:
            await self.close()
            raise

    async def _connect(self) -> Exception | None:
        """What went wrong. One round over the addresses: nats-py would go on for ever, whatever it is told."""
        config = self.config
        scheme = "tls" if config.tls_ca or config.tls_certificate else "nats"
        try:
            await self.client.connect(
                [f"{scheme}://{one.strip()}" for one in self._address.split(",")],
                name="mainstem",
                error_cb=self._on_error,
                reconnected_cb=self._on_reconnected,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # it sleeps so many seconds
                pending_size=PENDING_BYTES_MAX,
                user=config.user,
                password=config.password.reveal() if config.password else None,
                token=config.token.reveal() if config.token else None,
                tls=self._tls() if scheme == "tls" else None,
            )
        except (TimeoutError, OSError, nats.errors.Error) as error:
            return error
        self.client.options.update(allow_reconnect=True, max_reconnect_attempts=-1)
        return None

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.config.tls_ca)
            if self.config.tls_certificate:
                context.load_cert_chain(self.config.tls_certificate, self.config.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise TransportError(f"the certificates of nats://{self._address} cannot be read: {error}") from error
        return context

    async def _on_error(self, error: Exception) -> None:
        """nats-py connects again by itself; what went wrong is told once until things change."""
        told = str(error) or type(error).__name__
        if told != self._told:
            self._told = told
            if self._is_open:
                self.log.warning("transport.nats.trouble", error=told)

    async def _on_reconnected(self) -> None:
        self._told = ""
        for wake in list(self.on_connected):
            wake()

    async def call(self, what: str, work: Callable[[], Awaitable[R]], timeout_s: float | None = None) -> R:
        """The answer to `work`, which is asked again while the connection is lost or nobody leads; so it must be the same
        to ask once or twice.

        Raises: Missing, NoMessage, Conflict; TransportError for anything else, also after `request_timeout_ms`.
        """
        deadline_ms = self.clock.monotonic_ms() + (
            self.config.request_timeout_ms if timeout_s is None else int(timeout_s * 1000)
        )
        wait_s = AGAIN_FIRST_S
        while True:
            try:
                return await _cancellable(work)
            except PASSING as error:
                is_final = isinstance(error, nats.js.errors.APIError) and error.err_code in NO_JETSTREAM
                if is_final or self.clock.monotonic_ms() + int(wait_s * 1000) >= deadline_ms:
                    raise in_words(error, what) from error
            except (nats.errors.Error, OSError) as error:
                raise in_words(error, what) from error
            except msgspec.DecodeError as error:
                raise TransportError(f"{what}: a message there was not written by this transport ({error})") from error
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, AGAIN_MAX_S)

    async def close(self) -> None:
        try:
            await _cancellable(self.client.close)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # It comes out of nats-py, where it was just trying to connect again; the connection is closed.


async def _cancellable(work: Callable[[], Awaitable[R]]) -> R:
    """nats-py waits with `asyncio.wait_for`, which until Python 3.12 forgets a cancellation that comes with the answer; whoever
    waits for the cancelled task would then wait for ever."""
    task = asyncio.current_task()
    assert task is not None, "called in a task"
    cancelled = task.cancelling()
    try:
        return await work()
    finally:
        if task.cancelling() > cancelled:
            raise asyncio.CancelledError
