"""How records travel through topics of the pipeline's own where the plan names no serializer: MessagePack.

Keys come back as they were, tuples too. Values come back as plain values: what is no plain value needs `key_by(..., value=...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstem.api.serde import SerdeError, each
from mainstem.pipeline.state.encoding import with_tuples


class MessagePack:
    """Also None is written as such, so that no value is taken for a tombstone."""

    def __init__(self, *, is_key: bool) -> None:
        self._encode = msgspec.msgpack.Encoder(enc_hook=_refuse).encode
        self._decode = msgspec.msgpack.Decoder().decode
        self._is_key = is_key

    def dumps_many(self, values: Sequence[Any]) -> list[bytes | None]:
        done: list[bytes | None] = []
        encode = self._encode
        try:
            done.extend(map(encode, values))
        except (TypeError, OverflowError) as error:
            raise SerdeError(
                len(done),
                f"{error}; name a serializer, such as key_by(..., value='json'), or map to plain values before",
            ) from error
        return done

    def loads_many(self, data: Sequence[bytes | None]) -> list[Any]:
        loaded = each(self._decode, data, (msgspec.DecodeError,))
        return [with_tuples(key) for key in loaded] if self._is_key else loaded


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is no plain value")
