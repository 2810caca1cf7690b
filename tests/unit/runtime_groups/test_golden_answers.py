"""Every step that was put to Apache Kafka 4.1 (tests/data/kafka-4.1-group-answers), put to our handlers: the same answers.

Through the codec in the recorded version, without sockets. Not compared: the order of lists in which Kafka hashes.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from handler_calls import response, start

from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import request_schema

ANSWERS = Path(__file__).parents[2] / "data" / "kafka-4.1-group-answers" / "answers.json"


class Replay:
    def __init__(self, world: Any) -> None:
        self.world = world
        self.services = SimpleNamespace(metadata=world.cluster, groups=world.groups, broker_id=1)
        self._ids: dict[str, str] = {}
        self._parked: dict[int, tuple[ApiKey, int, Any]] = {}

    def send(self, step: dict[str, Any]) -> None:
        api, version = ApiKey[step["send"]], step["version"]
        request = msgspec.convert(self._with_our_ids(step["request"]), request_schema(api).message)
        self._parked[step["line"]] = (api, version, start(self.services, api, version, request))
        # The initial delay is 0, as in the recording; it ends before the next request comes.
        self.world.time.advance(0)

    async def receive(self, step: dict[str, Any]) -> dict[str, Any]:
        api, version, answer = self._parked.pop(step["line"])
        ours = await response(api, version, answer)
        if api is ApiKey.JOIN_GROUP:
            self._learn_ids(step["response"], ours)
        fields: dict[str, Any] = self._with_their_ids(msgspec.to_builtins(ours))
        return fields

    def _learn_ids(self, recorded: dict[str, Any], ours: Any) -> None:
        pairs = [(recorded["member_id"], ours.member_id)]
        by_instance = {m.group_instance_id: m.member_id for m in ours.members}
        pairs += [(m["member_id"], by_instance.get(m["group_instance_id"], "")) for m in recorded["members"]]
        for name, member_id in pairs:
            if name.startswith("$") and member_id:
                self._ids.setdefault(name, member_id)

    def _with_our_ids(self, value: Any) -> Any:
        return replaced(value, self._ids)

    def _with_their_ids(self, value: Any) -> Any:
        return replaced(value, {ours: name for name, ours in self._ids.items()})


def replaced(value: Any, by: dict[str, str]) -> Any:
    match value:
        case str():
            return by.get(value, value)
        case dict():
            return {key: replaced(entry, by) for key, entry in value.items()}
        case list() | tuple():
            return [replaced(entry, by) for entry in value]
        case _:
            return value


def unordered(value: Any) -> Any:
    """Lists of things with names, in the order of the names: topics, partitions, groups, members."""
    match value:
        case dict():
            return {key: unordered(entry) for key, entry in value.items()}
        case list():
            return sorted((unordered(entry) for entry in value), key=lambda e: json.dumps(e, sort_keys=True))
        case _:
            return value


async def test_our_answers_are_those_of_apache_kafka(make_world: Any) -> None:
    steps = json.loads(ANSWERS.read_text())
    world = make_world()
    world.cluster.create("__consumer_offsets")
    world.cluster.create("t", 3)
    replay = Replay(world)
    compared, request = 0, {}
    for number, step in enumerate(steps):
        if "send" in step:
            replay.send(step)
            request = step
        else:
            ours = await replay.receive(step)
            assert unordered(ours) == unordered(step["response"]), f"step {number}, after {request}"
            compared += 1
    await world.groups.close()
    assert compared == len(steps) // 2 > 400
