"""What the broker refused, as the transport port names it."""

from __future__ import annotations

from mainstem.api.transport import Fenced, NotMember, TransportError
from mainstem.model.errors import ErrorCode, RequestError

FENCED = frozenset({ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_ID_MAPPING})
NOT_A_MEMBER = frozenset(
    {
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.FENCED_MEMBER_EPOCH,
    }
)


def trouble(error: RequestError, what: str) -> TransportError:
    text = f"{what}: {error}"
    if error.code in FENCED:
        return Fenced(text)
    return NotMember(text) if error.code in NOT_A_MEMBER else TransportError(text)
