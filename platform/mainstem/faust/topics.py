"""How many partitions a topic has, and making those that are not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mode.utils.times import want_seconds

from mainstem.api.transport import Transport, TransportError
from mainstem.model.topic import NAME_LENGTH_MAX


class TopicCounts:
    """Asked once per topic: Faust wants to know while it cannot wait."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._transport: Transport | None = None
        self._counts: dict[str, int] = {}

    def use(self, transport: Transport | None) -> None:
        """What is known of a transport stays known for as long as it is the same one."""
        if transport is not self._transport:
            self._transport = transport
            self._counts.clear()

    def known(self, topic: str) -> int | None:
        return self._counts.get(topic)

    def partitions(self, topic: str) -> list[int]:
        """Raises: TransportError for a topic nobody has asked for yet: it is only known after a wait."""
        count = self._counts.get(topic)
        if count is None:
            raise TransportError(
                f"topic {topic} is not known yet: declare it with app.topic(...).maybe_declare() first"
            )
        return list(range(count))

    async def ensure(self, topics: Iterable[str]) -> None:
        """Topics that nobody declared are created with `topic_partitions`, as a Kafka that creates topics by itself would.

        Raises: TransportError, also for a missing topic if `topic_allow_declare` is off.
        """
        for topic in sorted(topics):
            if topic not in self._counts and await self.ask(topic) is None:
                await self.create(topic, self._app.conf.topic_partitions, {})

    async def ask(self, topic: str) -> int | None:
        count = await self._open().partition_count(topic)
        if count is not None:
            self._counts[topic] = count
        return count

    async def create(self, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
        """Does nothing if it exists. Raises: TransportError, ValueError for a name that is too long."""
        if len(topic) > NAME_LENGTH_MAX:
            raise ValueError(f"topic name {topic!r} has more than {NAME_LENGTH_MAX} characters")
        if not self._app.conf.topic_allow_declare:
            raise TransportError(
                f"topic {topic} does not exist, and the setting topic_allow_declare forbids to create it"
            )
        await self._open().create_topic(topic, partitions, configs)
        await self.ask(topic)

    def _open(self) -> Transport:
        if self._transport is None:
            raise TransportError("the app has not started: it is not connected to its broker yet")
        return self._transport


def topic_configs(
    config: Mapping[str, Any] | None, *, compacting: bool | None, deleting: bool | None, retention: Any
) -> dict[str, str]:
    """Faust's words for a topic in Kafka's."""
    policies = [name for name, wanted in (("compact", compacting), ("delete", deleting)) if wanted]
    configs = {name: str(value) for name, value in (config or {}).items()}
    if policies:
        configs["cleanup.policy"] = ",".join(policies)
    if retention:
        configs["retention.ms"] = str(int(want_seconds(retention) * 1000))
    return configs
