"""The contracts of both plugins, by the suites that mainstem's own plugins run."""

import asyncio
import random

from stranger import msgpack, random_walk

from mainstem.testing.conformance.connectors import check_source
from mainstem.testing.conformance.context import plugin_context
from mainstem.testing.conformance.serializers import check_serializer


def test_msgpack() -> None:
    [spec] = msgpack.mainstem_register_serializers()
    check_serializer(spec, [{"a": 1}, [b"bytes", None], "text"], unfit=[object()], unreadable=[b"", b"\xc1"])


def walk(split: str, steps: int) -> list[dict]:
    at, taken = 0, []
    for step in range(steps):
        at += random.Random(f"7 {split} {step}").choice((-1, 1))
        taken.append({"walker": split, "step": step, "at": at})
    return taken


def test_random_walk() -> None:
    [spec] = random_walk.mainstem_register_connectors()
    expected = {split: walk(split, 9) for split in ("walker-0", "walker-1")}
    with plugin_context() as context:
        asyncio.run(check_source(spec, context, expected, walkers=2, steps=9, seed=7))
