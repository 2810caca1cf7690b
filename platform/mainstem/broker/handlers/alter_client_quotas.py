"""AlterClientQuotas, v0–1 (KIP-546). Nothing here enforces a quota, so that none can be set; there is none to remove."""

from __future__ import annotations

from mainstem.broker.context import RequestContext
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    RequestEntryData,
    ResponseEntryData,
)

_CLIENT_KEYS = frozenset(("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"))
_KEYS = {"user": _CLIENT_KEYS, "client-id": _CLIENT_KEYS, "ip": frozenset(("connection_creation_rate",))}
MESSAGE = "this broker has no quotas: nothing would obey this one"


def handle(context: RequestContext, services: Services, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse:
    return AlterClientQuotasResponse(entries=[_entry(entry) for entry in request.entries])


def _entry(entry: RequestEntryData) -> ResponseEntryData:
    entity = [EntityData(entity_type=each.entity_type, entity_name=each.entity_name) for each in entry.entity]
    problem = _problem(entry)
    if problem is not None:
        return ResponseEntryData(error_code=ErrorCode.INVALID_REQUEST, error_message=problem, entity=entity)
    if any(not op.remove for op in entry.ops):
        return ResponseEntryData(error_code=ErrorCode.POLICY_VIOLATION, error_message=MESSAGE, entity=entity)
    return ResponseEntryData(entity=entity)


def _problem(entry: RequestEntryData) -> str | None:
    types = [each.entity_type for each in entry.entity]
    if not types:
        return "an entity is needed"
    unknown = [kind for kind in types if kind not in _KEYS]
    if unknown:
        return f"there is no entity type {unknown[0]!r}; there are {', '.join(_KEYS)}"
    if len(set(types)) < len(types) or ("ip" in types and len(types) > 1):
        return f"{', '.join(types)} do not make one entity"
    allowed = _KEYS[types[0]]
    wrong = [op.key for op in entry.ops if op.key not in allowed]
    return f"{types[0]} has no quota {wrong[0]!r}; it has {', '.join(sorted(allowed))}" if wrong else None
