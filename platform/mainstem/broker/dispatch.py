"""From a frame to its handler and back: version range, timing, and the last resort for what goes wrong."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any, Protocol

from mainstem.broker.connection import CONTEXTS_KEPT, Connection
from mainstem.broker.connection_limits import ConnectionLimits
from mainstem.broker.context import RequestContext
from mainstem.broker.error_map import error_code_of
from mainstem.broker.reply import ReplySlot
from mainstem.broker.route import AnswerLine, Route
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode, MainstemError
from mainstem.wire.apis import FLEXIBLE_FROM, ApiKey
from mainstem.wire.codec import decode, encode_response, request_schema, response_schema, skip_tags
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.messages.api_versions import ApiVersion, ApiVersionsResponse
from mainstem.wire.schema import Message

QUIET_S = 10.0
HALF_REQUEST_S = 30.0
_HEADER = struct.Struct(">hhih")


class HotHandler(Protocol):
    """Produce and Fetch: they read the frame themselves and write their own replies."""

    def __call__(
        self,
        line: AnswerLine,
        context: RequestContext,
        services: Services,
        frame: memoryview,
        body: int,
        correlation_id: int,
    ) -> None: ...


class Dispatcher:
    """One per broker, shared by all its connections."""

    def __init__(self, services: Services, routes: Mapping[int, Route]) -> None:
        self.services = services
        self.frame_bytes_max = services.config.socket_request_max_bytes
        self.memory = services.memory
        self.connections: set[Connection] = set()
        self._limits = ConnectionLimits()
        self._routes = routes
        self._own_hot: dict[int, HotHandler] = {key: r.handle_frame for key, r in routes.items() if r.is_hot}
        self._hot = self._own_hot
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        counters = self.services.counters
        counters.connections += 1
        counters.connections_total += 1
        refusal = self._limits.opened(connection.client_host, self.services.metadata.config)
        if refusal is not None:
            connection.abort(refusal)

    def closed(self, connection: Connection, reason: str | None) -> None:
        self.connections.discard(connection)
        self._limits.closed(connection.client_host)
        self.services.counters.connections -= 1
        if reason is not None:
            self.services.log.warning("connection.aborted", client_host=connection.client_host, reason=reason)

    def handle(self, connection: Connection, frame: memoryview) -> None:
        try:
            api_key, version, correlation_id, client_id_size = _HEADER.unpack_from(frame, 0)
            route = self._routes.get(api_key)
            if route is None or not route.first_version <= version <= route.last_version:
                self._refuse(connection, api_key, version, correlation_id)
                return
            body = 10 + client_id_size if client_id_size > 0 else 10
            key = (version, bytes(frame[8:body]))
            context = connection.contexts.get(key)
            if context is None:
                context = self._make_context(connection, frame, version, client_id_size, key)
            if version >= FLEXIBLE_FROM[api_key]:
                body = body + 1 if frame[body] == 0 else skip_tags(frame, body)
            hot = self._hot.get(api_key)
            if hot is not None:
                hot(connection, context, self.services, frame, body, correlation_id)
                return
            request = decode(request_schema(route.api), version, frame, body)
        except (MalformedMessage, struct.error, IndexError, UnicodeDecodeError) as error:
            self.services.counters.malformed_requests += 1
            connection.abort(f"malformed request: {error}")
            return
        self._answer(connection, route, context, request, correlation_id)

    def intercept(self, handler: HotHandler | None) -> None:
        """Let `handler` have every request of a served API, or nobody: handlers are called directly again."""
        self._hot = self._own_hot if handler is None else dict.fromkeys(self._routes, handler)
        for connection in self.connections:
            connection.drop_lanes()

    def run(
        self,
        line: AnswerLine,
        api_key: int,
        context: RequestContext,
        frame: memoryview,
        body: int,
        correlation_id: int,
    ) -> None:
        """Answer a request as if nobody intercepted. Raises: MalformedMessage."""
        hot = self._own_hot.get(api_key)
        if hot is not None:
            hot(line, context, self.services, frame, body, correlation_id)
            return
        route = self._routes[api_key]
        request = decode(request_schema(route.api), context.api_version, frame, body)
        self._answer(line, route, context, request, correlation_id)

    def _make_context(
        self, connection: Connection, frame: memoryview, version: int, client_id_size: int, key: tuple[int, bytes]
    ) -> RequestContext:
        if client_id_size > len(frame) - 10:
            raise MalformedMessage(f"client_id says {client_id_size} bytes, {len(frame) - 10} are left")
        if len(connection.contexts) >= CONTEXTS_KEPT:
            connection.contexts.clear()
        context = connection.contexts[key] = RequestContext(
            api_version=version,
            client_id=str(frame[10 : 10 + client_id_size], "utf-8") if client_id_size >= 0 else None,
            client_host=connection.client_host,
            listener=connection.listener,
            local_host=connection.local_host,
            local_port=connection.local_port,
        )
        return context

    def _refuse(self, connection: Connection, api_key: int, version: int, correlation_id: int) -> None:
        """As Kafka: only ApiVersions is answered in a version we lack (KIP-511); others end the connection."""
        if api_key == ApiKey.API_VERSIONS:
            first, last = self.services.served_versions[api_key]
            answer = ApiVersionsResponse(
                error_code=ErrorCode.UNSUPPORTED_VERSION,
                api_keys=[ApiVersion(api_key=api_key, min_version=first, max_version=last)],
            )
            connection.send((encode_response(ApiKey.API_VERSIONS, 0, correlation_id, answer),))
            return
        self.services.counters.malformed_requests += 1
        connection.abort(f"API key {api_key} version {version} is not served")

    def _answer(
        self, connection: AnswerLine, route: Route, context: RequestContext, request: Message, correlation_id: int
    ) -> None:
        started = self._loop.time()
        try:
            answer = route.handle(context, self.services, request)
        except Exception as error:
            connection.send(self._failed(route, context, correlation_id, error))
            return
        if isinstance(answer, Message):
            connection.send((encode_response(route.api, context.api_version, correlation_id, answer),))
            self.services.counters.of(route.api).record((self._loop.time() - started) * 1000)
            return
        slot = connection.defer()
        holds = not isinstance(answer, asyncio.Future)
        if holds:
            connection.hold()
        task = self._loop.create_task(
            self._finish(connection, slot, route, context, correlation_id, answer, started, holds)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(
        self,
        connection: AnswerLine,
        slot: ReplySlot,
        route: Route,
        context: RequestContext,
        correlation_id: int,
        answer: Any,
        started: float,
        holds: bool,
    ) -> None:
        try:
            response = await answer
            slot.complete((encode_response(route.api, context.api_version, correlation_id, response),))
        except asyncio.CancelledError:
            slot.complete(())
            raise
        except Exception as error:
            slot.complete(self._failed(route, context, correlation_id, error))
        finally:
            self.services.counters.of(route.api).record((self._loop.time() - started) * 1000)
            if holds:
                connection.release()

    def _failed(
        self, route: Route, context: RequestContext, correlation_id: int, error: Exception
    ) -> tuple[bytes, ...]:
        """A reply that carries the error code, where the API has a place for one at the top."""
        self.services.counters.of(route.api).errors += 1
        if not isinstance(error, MainstemError):
            self.services.log.error(
                "request.failed",
                api=route.api.title,
                version=context.api_version,
                client_id=context.client_id,
                exc_info=error,
            )
        code = error_code_of(error)
        message = response_schema(route.api).message
        fields: dict[str, Any] = {"error_code": code} if "error_code" in message.__struct_fields__ else {}
        return (encode_response(route.api, context.api_version, correlation_id, message(**fields)),)

    async def close(self) -> None:
        for connection in tuple(self.connections):
            connection.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close_idle(self, idle_ms: int) -> None:
        """connections.max.idle.ms; quiet connections give memory back. Where memory has run out, a client that holds some
        with half a request is not waited for as long."""
        now = self._loop.time()
        for connection in tuple(self.connections):
            quiet_s = connection.quiet_s(now)
            if 0 <= idle_ms < quiet_s * 1000 and connection.is_idle:
                connection.close()
            elif quiet_s > HALF_REQUEST_S and connection.is_mid_frame and self.memory.is_exhausted:
                connection.abort("memory has run out, and this client holds some with half a request")
            elif quiet_s > QUIET_S:
                connection.give_memory_back()
