"""Messages and events of one partition and one generation: what they share lives in their class, so that making one costs
little. Everything Faust reads of a `ConsumerMessage` or an `Event` is there."""

from __future__ import annotations

from typing import Any, ClassVar

from faust.events import Event
from faust.types import TP, ConsumerMessage

from mainstem.faust.acks import PartitionAcks

TIMESTAMP_TYPE_CREATED = 0

# Read before anybody wrote them: the slots of a message are filled when a sensor, or stock code, wants them.
_UNSET = {"time_in": None, "time_out": None, "time_total": None, "tracked": False}


class BatchMessage(ConsumerMessage):
    """Filled by `delivery`: offset, timestamp (s), key, value, headers, refcount, acked. The rest is of the class."""

    __slots__ = ()

    acks: ClassVar[PartitionAcks]
    # In place of the base class' slots, so mypy is told that they are given up on purpose.
    topic: ClassVar[str]  # type: ignore[misc]
    partition: ClassVar[int]  # type: ignore[misc]
    tp: ClassVar[TP]  # type: ignore[misc]
    generation_id: ClassVar[int]  # type: ignore[misc]
    timestamp_type = TIMESTAMP_TYPE_CREATED
    checksum = None

    def __getattr__(self, name: str) -> Any:
        try:
            return _UNSET[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def serialized_key_size(self) -> int:  # type: ignore[override]
        return len(self.key) if self.key is not None else 0

    @property
    def serialized_value_size(self) -> int:  # type: ignore[override]
        return len(self.value) if self.value is not None else 0


class _Headers:
    """The event's own dict, made when somebody asks."""

    def __get__(self, event: Any, owner: type) -> Any:
        if event is None:
            return self
        headers = event.message.headers
        made = event.__dict__["headers"] = dict(headers) if headers else {}
        return made


class BatchEvent(Event):
    """Filled by `delivery`: key, value, message."""

    headers = _Headers()
    acked = False


def message_class(tp: TP, generation_id: int, acks: PartitionAcks) -> type[BatchMessage]:
    """A class for the messages of one partition as long as it stays assigned."""
    return type(
        "PartitionMessage",
        (BatchMessage,),
        {
            "__slots__": (),
            "topic": tp.topic,
            "partition": tp.partition,
            "tp": tp,
            "generation_id": generation_id,
            "acks": acks,
        },
    )


def event_class(app: Any) -> type[BatchEvent]:
    return type("AppEvent", (BatchEvent,), {"app": app})
