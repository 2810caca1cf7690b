"""Handlers called without a socket, as a client of some version sees them: both messages lose what the version does not carry."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from mainstem.broker.context import RequestContext
from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import decode, encode, request_schema, response_schema


def start(services: Any, api: ApiKey, version: int, request: Any, client_id: str | None = "client") -> Any:
    """What the handler returns: the response, or something to wait for."""
    context = RequestContext(
        api_version=version,
        client_id=client_id,
        client_host="127.0.0.1",
        listener="PLAINTEXT",
        local_host="127.0.0.1",
        local_port=9092,
    )
    schema = request_schema(api)
    sent = decode(schema, version, memoryview(encode(schema, version, request)))
    return import_module(f"mainstem.broker.handlers.{api.name.lower()}").handle(context, services, sent)


async def response(api: ApiKey, version: int, answer: Any) -> Any:
    """What the client gets of it."""
    if inspect.isawaitable(answer):
        answer = await answer
    schema = response_schema(api)
    return decode(schema, version, memoryview(encode(schema, version, answer)))
