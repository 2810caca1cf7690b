"""The connection to Redis: where it is, scripts, and trying again what a lost connection has left undecided."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from redis import asyncio as aio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import TimeoutError as NoAnswerError

from mainstem.api.context import PluginContext
from mainstem.api.transport import TransportError
from mainstem_plugins.transport_redis import RedisConfig

R = TypeVar("R")
DEFAULT_PORT = 6_379
CONNECT_TIMEOUT_S = 5.0
PAUSE_FIRST_S = 0.02
PAUSE_MAX_S = 1.0
VERSION_MIN = 7
SCRIPTS = Path(__file__).with_name("scripts")

_ADDRESS = re.compile(r"(?P<host>\[[^\]]+\]|[^:/@\[\]]+)(:(?P<port>\d+))?(/(?P<database>\d*))?")
_SHARED = (SCRIPTS / "shared.lua").read_text()
_TEXTS = {
    path.stem: f"{_SHARED}\n{path.read_text()}" for path in sorted(SCRIPTS.glob("*.lua")) if path.stem != "shared"
}
_NAMES = {name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in _TEXTS.items()}


class Address(NamedTuple):
    host: str
    port: int
    database: int


def read_address(text: str) -> Address:
    """`host`, `host:port` or `host:port/database`. Raises: TransportError."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        hint = "; username and password are settings of their own" if "@" in text else ""
        raise TransportError(f"redis:// needs an address: redis://host:port/database{hint}")
    return Address(found["host"].strip("[]"), int(found["port"] or DEFAULT_PORT), int(found["database"] or 0))


class RedisClient:
    """A pool of connections. Every call raises TransportError after `request_timeout_ms` without an answer.

    Calls are sent again after a lost connection, so each must be one that changes nothing the second time.
    """

    def __init__(self, config: RedisConfig, context: PluginContext, address: str) -> None:
        self.base = f"{{{config.prefix}}}:"
        self.timeout_s = config.request_timeout_ms / 1000
        self._address = read_address(address)
        self._clock = context.clock
        self._log = context.log
        self._redis: Any = aio.Redis(
            host=self._address.host,
            port=self._address.port,
            db=self._address.database,
            username=config.username,
            password=config.password.reveal() if config.password is not None else None,
            socket_timeout=self.timeout_s,
            socket_connect_timeout=min(CONNECT_TIMEOUT_S, self.timeout_s),
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            ssl=config.tls,
            ssl_ca_certs=config.tls_ca_location,
        )

    @property
    def place(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    async def open(self) -> None:
        """Raises: TransportError if nobody answers, or if it is a server that would lose topics."""
        try:
            found = await self._redis.info("server", "persistence", "memory")
        except (RedisError, OSError) as error:
            await self.close()
            raise self._in_words(error) from error
        problem = None
        if int(str(found["redis_version"]).partition(".")[0]) < VERSION_MIN:
            problem = f"is Redis {found['redis_version']}; at least {VERSION_MIN}.0 is needed"
        elif found.get("maxmemory") and found.get("maxmemory_policy") != "noeviction":
            problem = f"may evict topics (maxmemory-policy {found['maxmemory_policy']}); set maxmemory-policy noeviction there"
        if problem is not None:
            await self.close()
            raise TransportError(f"the server at {self.place} {problem}")
        if not found.get("aof_enabled"):
            self._log.warning("redis.not_durable", address=self.place, needed="appendonly yes")

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """The answer of a script. Raises: TransportError."""

        async def call() -> Any:
            try:
                return await self._redis.execute_command("EVALSHA", _NAMES[script], len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._redis.execute_command("EVAL", _TEXTS[script], len(keys), *keys, *arguments)

        return await self._try(call)

    async def command(self, *words: Any) -> Any:
        """The answer to a command that is safe to send twice. Raises: TransportError."""
        return await self._try(lambda: self._redis.execute_command(*words))

    async def commands(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """The answers to commands that run at once (MULTI). Raises: TransportError."""

        async def call() -> list[Any]:
            async with self._redis.pipeline(transaction=True) as pipeline:
                for words in commands:
                    pipeline.execute_command(*words)
                return list(await pipeline.execute())

        return await self._try(call)

    async def _try(self, call: Callable[[], Awaitable[R]]) -> R:
        ends_ms = self._clock.monotonic_ms() + self.timeout_s * 1000
        pause_s = PAUSE_FIRST_S
        while True:
            try:
                return await call()
            except (NoConnectionError, NoAnswerError, ReadOnlyError, OSError) as error:
                is_refused = isinstance(error, AuthenticationError | AuthorizationError)
                if is_refused or self._clock.monotonic_ms() + pause_s * 1000 >= ends_ms:
                    raise self._in_words(error) from error
            except RedisError as error:
                raise self._in_words(error) from error
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _in_words(self, error: Exception) -> TransportError:
        match error:
            case AuthenticationError() | AuthorizationError():
                return TransportError(f"Redis at {self.place} refuses username or password: {error}")
            case OutOfMemoryError():
                return TransportError(
                    f"Redis at {self.place} is full (maxmemory): give it more, or topics retention.bytes"
                )
            case ReadOnlyError():
                return TransportError(f"Redis at {self.place} is a replica: name the address of its primary")
            case NoConnectionError() | NoAnswerError() | OSError():
                return TransportError(
                    f"no Redis answers at {self.place}; check the address and that it is running: {error}"
                )
            case ResponseError() if str(error).startswith(("MOVED", "CROSSSLOT", "ASK")):
                return TransportError(f"Redis at {self.place} is a node of a cluster that has other keys: {error}")
        return TransportError(f"Redis at {self.place} refused: {error}")

    async def close(self) -> None:
        await self._redis.aclose()
