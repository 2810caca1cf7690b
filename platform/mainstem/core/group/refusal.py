"""A request that is not granted, with the words Kafka has for it."""

from __future__ import annotations

import msgspec

from mainstem.model.errors import ErrorCode


class Refusal(msgspec.Struct, frozen=True):
    """`message` None where Kafka gives no words of its own either."""

    error: ErrorCode
    message: str | None = None
