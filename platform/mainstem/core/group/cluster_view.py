"""What groups look up of the cluster while they decide: topics, and settings of single groups. Never kept beyond one decision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Topic(NamedTuple):
    name: str
    topic_id: bytes
    partition_count: int


class ConsumerTimeouts(NamedTuple):
    heartbeat_interval_ms: int
    session_timeout_ms: int


class ClusterView(Protocol):
    """Always the newest metadata this broker knows."""

    @property
    def version(self) -> int:
        """Grows whenever topics were created; comparable over restarts."""

    def topic(self, name: str) -> Topic | None: ...
    def topic_name(self, topic_id: bytes) -> str | None: ...
    def topic_names(self) -> Iterable[str]: ...

    def topic_hash(self, name: str) -> int | None:
        """Stands for everything of a topic that assignments depend on (see `metadata_hash`); None if there is none."""

    def consumer_timeouts(self, group_id: str) -> ConsumerTimeouts:
        """The group's own settings over the broker's."""


class NoCluster:
    """A cluster without topics and group settings."""

    version = 0

    def topic(self, name: str) -> Topic | None:
        return None

    def topic_name(self, topic_id: bytes) -> str | None:
        return None

    def topic_names(self) -> Iterable[str]:
        return ()

    def topic_hash(self, name: str) -> int | None:
        return None

    def consumer_timeouts(self, group_id: str) -> ConsumerTimeouts:
        return ConsumerTimeouts(5_000, 45_000)
