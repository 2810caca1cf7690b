"""What was committed of a repartition topic goes; what was not, and other topics, stay."""

from __future__ import annotations

import asyncio
from typing import Any

from mainstem.api.transport import TransportError
from mainstem.model.ids import TopicPartition
from mainstem.pipeline.engine.purging import Purging

MOVED, SOURCE = TopicPartition("p-key_by-repartition", 0), TopicPartition("in", 0)


class Clock:
    def __init__(self) -> None:
        self.time_ms = 0

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms


class Log:
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warning(self, event: str, **about: Any) -> None:
        self.warned.append(f"{event} {about['error']}")


class Transport:
    def __init__(self) -> None:
        self.deleted: list[dict[TopicPartition, int]] = []
        self.refuses = False

    async def delete_records(self, before: dict[TopicPartition, int]) -> None:
        if self.refuses:
            raise TransportError("not allowed")
        self.deleted.append(dict(before))


def parts() -> tuple[Any, Any, Any, Purging]:
    transport, clock, log = Transport(), Clock(), Log()
    return transport, clock, log, Purging(transport, [MOVED.topic], clock, log, interval_ms=100)  # type: ignore[arg-type]


async def stepped(purging: Purging) -> None:
    for _ in range(4):  # begins, runs, ends, is noticed
        purging.step()
        await asyncio.sleep(0)


async def test_the_last_committed_offsets_are_purged_once_an_interval():
    transport, clock, _, purging = parts()
    purging.committed({MOVED: 3, SOURCE: 7})
    await stepped(purging)
    assert transport.deleted == []
    clock.time_ms = 100
    purging.committed({MOVED: 5})
    await stepped(purging)
    assert transport.deleted == [{MOVED: 5}]
    purging.committed({MOVED: 6})
    await stepped(purging)
    assert len(transport.deleted) == 1, "the next one is due later"
    await purging.close()


async def test_a_refusal_is_logged_once_and_what_is_committed_next_is_tried():
    transport, clock, log, purging = parts()
    transport.refuses = True
    for offset in (1, 2):
        clock.time_ms += 100
        purging.committed({MOVED: offset})
        await stepped(purging)
    assert log.warned == ["pipeline.repartition_topics_grow not allowed"]
    transport.refuses = False
    clock.time_ms += 100
    purging.committed({MOVED: 3})
    await stepped(purging)
    assert transport.deleted == [{MOVED: 3}]
