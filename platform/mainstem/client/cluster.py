"""One cluster: who its brokers are, who leads and who coordinates, and a connection to each that is asked something.

Blocking, for commands: one request at a time, and again while a broker says "not yet" or "not me".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

import msgspec

from mainstem.client.connection import CONNECT_TIMEOUT_S, Connection
from mainstem.client.errors import RefusedError, UnreachableError, check
from mainstem.client.protocol import NEWEST, ProtocolConnection
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from mainstem.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from mainstem.wire.schema import Message

T = TypeVar("T")

API_TIMEOUT_S = 30.0
BACKOFF_S = 0.1
NOBODY = -1
GROUP, TRANSACTION = 0, 1
"""Key types of FindCoordinator."""

NOT_YET = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.NOT_CONTROLLER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.UNSTABLE_OFFSET_COMMIT,
    }
)
"""Worth another try, at whoever is right by then."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A broker as metadata names it."""

    id: int
    host: str
    port: int
    rack: str | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Cluster:
    """Use as a context manager, or close it. Every method raises UnreachableError or RefusedError."""

    def __init__(self, connection: Connection, api_timeout_s: float = API_TIMEOUT_S) -> None:
        """`api_timeout_s`: how long one call may be repeated, and one answer may take."""
        self._connection = connection
        self._api_timeout_s = api_timeout_s
        self._bootstrap: ProtocolConnection | None = None
        self._nodes: dict[int, Node] = {}
        self._opened: dict[int, ProtocolConnection] = {}

    @classmethod
    def connect(cls, connection: Connection, api_timeout_s: float = API_TIMEOUT_S) -> Cluster:
        """Returns when a broker has accepted the connection. Raises also: ConfigError."""
        cluster = cls(connection, api_timeout_s)
        cluster.any_broker()
        return cluster

    @property
    def api_timeout_ms(self) -> int:
        return round(self._api_timeout_s * 1000)

    def any_broker(self) -> ProtocolConnection:
        """The first bootstrap address that accepts."""
        if self._bootstrap is None:
            self._bootstrap = self._first_of(self._connection.addresses())
        return self._bootstrap

    def _first_of(self, addresses: Sequence[tuple[str, int]]) -> ProtocolConnection:
        reasons = []
        for host, port in addresses:
            try:
                return self._open(host, port)
            except UnreachableError as error:
                reasons.append(error.reason)
        raise UnreachableError(self._connection.bootstrap_servers, reasons[0])

    def _open(self, host: str, port: int) -> ProtocolConnection:
        opened = ProtocolConnection(host, port, CONNECT_TIMEOUT_S, self._connection.properties)
        opened.wait_at_most(max(CONNECT_TIMEOUT_S, self._api_timeout_s))
        return opened

    def ask(self, api: ApiKey, request: Message, up_to: int = NEWEST) -> Message:
        """The answer of whichever broker."""
        return self.any_broker().ask(api, request, up_to)

    def nodes(self) -> list[Node]:
        """Live brokers, by id."""
        if not self._nodes:
            self.metadata([])
        return [node for _, node in sorted(self._nodes.items())]

    def broker(self, node_id: int) -> ProtocolConnection:
        """A connection to this broker."""
        if node_id not in self._opened:
            if node_id not in self._nodes:
                self.metadata([])
            if node_id not in self._nodes:
                raise RefusedError(ErrorCode.BROKER_NOT_AVAILABLE, f"there is no broker {node_id}")
            node = self._nodes[node_id]
            self._opened[node_id] = self._open(node.host, node.port)
        return self._opened[node_id]

    def metadata(self, topics: Sequence[str] | None) -> MetadataResponse:
        """About these topics, or all of them; never creates one."""
        wanted = None if topics is None else [MetadataRequestTopic(name=name) for name in topics]
        answer = self.ask(ApiKey.METADATA, MetadataRequest(topics=wanted, allow_auto_topic_creation=False))
        assert isinstance(answer, MetadataResponse), answer
        self._nodes = {
            each.node_id: Node(id=each.node_id, host=each.host, port=each.port, rack=each.rack)
            for each in answer.brokers
        }
        return answer

    def coordinator(self, kind: int, key: str) -> Node:
        """Who coordinates a group or a transactional id; the first call may have to wait for its topic."""

        def find() -> Node:
            request = FindCoordinatorRequest(key=key, key_type=kind, coordinator_keys=[key])
            answer = self.ask(ApiKey.FIND_COORDINATOR, request)
            assert isinstance(answer, FindCoordinatorResponse), answer
            # Version 4 answers for many keys, older ones for one.
            found = answer.coordinators[0] if answer.coordinators else answer
            check(found.error_code, found.error_message)
            return Node(id=found.node_id, host=found.host, port=found.port)

        node = self.repeated(find)
        self._nodes.setdefault(node.id, node)
        return node

    def ask_coordinator(
        self, kind: int, key: str, api: ApiKey, request: Message, up_to: int, code_of: Callable[[Message], int]
    ) -> Message:
        """Asks the coordinator, again while it moves or loads. `code_of` finds the error that says so."""

        def ask() -> Message:
            answer = self.broker(self.coordinator(kind, key).id).ask(api, request, up_to)
            code = code_of(answer)
            if code in NOT_YET:
                check(code)
            return answer

        return self.repeated(ask)

    def ask_controller(self, api: ApiKey, request: Message, code_of: Callable[[Message], int]) -> Message:
        """Asks the controller, again while it moves."""

        def ask() -> Message:
            controller = self.metadata([]).controller_id
            answer = (self.broker(controller) if controller >= 0 else self.any_broker()).ask(api, request)
            if code_of(answer) == ErrorCode.NOT_CONTROLLER:
                check(ErrorCode.NOT_CONTROLLER)
            return answer

        return self.repeated(ask)

    def leaders(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The leader of each partition that exists, -1 where there is none at the moment."""
        wanted = set(partitions)
        found = {}
        for topic in self.metadata(sorted({each.topic for each in wanted})).topics:
            for each in topic.partitions:
                partition = TopicPartition(topic.name or "", each.partition_index)
                if partition in wanted:
                    found[partition] = max(each.leader_id, NOBODY)
        return found

    def repeated(self, call: Callable[[], T], codes: frozenset[ErrorCode] = NOT_YET) -> T:
        """The first result that is no error of `codes`, or the error when the time is over."""
        ends = time.monotonic() + self._api_timeout_s
        while True:
            try:
                return call()
            except RefusedError as error:
                if error.code not in codes or time.monotonic() >= ends:
                    raise
            time.sleep(BACKOFF_S)

    def close(self) -> None:
        for opened in (self._bootstrap, *self._opened.values()):
            if opened is not None:
                opened.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def by_topic(partitions: Iterable[TopicPartition]) -> Mapping[str, list[int]]:
    """`[a-1, a-0, b-0]` → `{"a": [0, 1], "b": [0]}`."""
    found: dict[str, list[int]] = {}
    for each in sorted(set(partitions)):
        found.setdefault(each.topic, []).append(each.partition)
    return found
