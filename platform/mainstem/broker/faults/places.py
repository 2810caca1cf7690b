"""Where each API's answer has room for an error, and which part of the request that place answers.

    Produce   topic_data[name, topic_id] . partition_data[index]
              responses [name, topic_id] . partition_responses[index, error_code]

Source: `getErrorResponse` of Kafka's request classes, 4.1. A test fails when a served API is missing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from mainstem.wire.apis import ApiKey

ITSELF = ""
"""In place of a field's name: the element of a list of plain values."""


class Subject(Enum):
    """What the elements of a list stand for, as far as a rule can name them."""

    TOPIC = auto()
    PARTITION = auto()
    GROUP = auto()
    RESOURCE = auto()
    OTHER = auto()


class Top(Enum):
    """Whether the error stands at the top of the answer, too."""

    NEVER = auto()
    ALWAYS = auto()
    ALONE = auto()
    """Only if the request has no part with a place of its own."""


@dataclass(frozen=True, slots=True)
class Place:
    """A list of the request and the list that answers it. `names` are (field asked, field answered) pairs that are copied.

    `error` is None where only the elements inside have one. `given` are values an answer with an error has.
    """

    asked: str
    answered: str
    subject: Subject
    names: tuple[tuple[str, str], ...] = ()
    error: str | None = "error_code"
    given: Mapping[str, Any] = field(default_factory=dict)
    inside: Place | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """`group` is the field that names the group or transactional id all of the request is for. `copied` is as `Place.names`."""

    top: Top
    places: tuple[Place, ...] = ()
    group: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    copied: tuple[tuple[str, str], ...] = ()


def topics(
    inside: Place, asked: str = "topics", answered: str = "topics", names: tuple[str, ...] = ("name",), told: str = ""
) -> Place:
    pairs = tuple((name, told or name) for name in names)
    return Place(asked, answered, Subject.TOPIC, pairs, error=None, inside=inside)


def partitions(
    asked: str = "partitions",
    answered: str = "partitions",
    index: str = "partition_index",
    told: str = "partition_index",
    error: str = "error_code",
    **given: Any,
) -> Place:
    return Place(asked, answered, Subject.PARTITION, ((index, told),), error, given)


def named_topics(asked: str, answered: str, *names: str, **given: Any) -> Place:
    """Topics whose partitions have no errors of their own."""
    return Place(asked, answered, Subject.TOPIC, tuple((name, name) for name in names), given=given)


def groups(asked: str, answered: str, told: str, **given: Any) -> Place:
    """A list of ids."""
    return Place(asked, answered, Subject.GROUP, ((ITSELF, told),), given=given)


def others(asked: str, answered: str, *names: tuple[str, str]) -> Place:
    return Place(asked, answered, Subject.OTHER, names)


_RESOURCES = (("resource_type", "resource_type"), ("resource_name", "resource_name"))
_INDEXES = partitions("partition_indexes", index=ITSELF)
_UNCOMMITTED = partitions(
    "partition_indexes", index=ITSELF, committed_offset=-1, committed_leader_epoch=-1, metadata=""
)
_TXN_RESULTS = partitions("partitions", "results_by_partition", ITSELF, error="partition_error_code")
_DELETED = Place("topics", "responses", Subject.TOPIC, (("name", "name"), ("topic_id", "topic_id")))
_ONLY_TOP = Shape(Top.ALWAYS)

SHAPES: Mapping[ApiKey, Shape] = {
    ApiKey.PRODUCE: Shape(
        Top.NEVER,
        (
            topics(
                partitions("partition_data", "partition_responses", "index", "index", base_offset=-1),
                "topic_data",
                "responses",
                ("name", "topic_id"),
            ),
        ),
    ),
    ApiKey.FETCH: Shape(
        Top.ALONE,
        (
            topics(
                partitions(index="partition", high_watermark=-1, records=b""),
                answered="responses",
                names=("topic", "topic_id"),
            ),
        ),
    ),
    ApiKey.LIST_OFFSETS: Shape(Top.NEVER, (topics(partitions(timestamp=-1, offset=-1)),)),
    ApiKey.METADATA: Shape(Top.ALONE, (named_topics("topics", "topics", "name", "topic_id"),)),
    ApiKey.OFFSET_COMMIT: Shape(Top.NEVER, (topics(partitions(), names=("name", "topic_id")),), group="group_id"),
    ApiKey.OFFSET_FETCH: Shape(
        Top.ALWAYS,
        (
            Place(
                "groups",
                "groups",
                Subject.GROUP,
                (("group_id", "group_id"),),
                inside=topics(_UNCOMMITTED, names=("name", "topic_id")),
            ),
            topics(_UNCOMMITTED),
        ),
        group="group_id",
    ),
    ApiKey.FIND_COORDINATOR: Shape(
        Top.ALONE,
        (groups("coordinator_keys", "coordinators", "key", node_id=-1, port=-1),),
        group="key",
        given={"node_id": -1, "port": -1},
    ),
    ApiKey.JOIN_GROUP: Shape(
        Top.ALWAYS, group="group_id", given={"protocol_name": ""}, copied=(("member_id", "member_id"),)
    ),
    ApiKey.HEARTBEAT: Shape(Top.ALWAYS, group="group_id"),
    ApiKey.LEAVE_GROUP: Shape(Top.ALWAYS, group="group_id"),
    ApiKey.SYNC_GROUP: Shape(Top.ALWAYS, group="group_id"),
    ApiKey.DESCRIBE_GROUPS: Shape(Top.NEVER, (groups("groups", "groups", "group_id"),)),
    ApiKey.LIST_GROUPS: _ONLY_TOP,
    ApiKey.SASL_HANDSHAKE: _ONLY_TOP,
    ApiKey.API_VERSIONS: _ONLY_TOP,
    ApiKey.CREATE_TOPICS: Shape(Top.NEVER, (named_topics("topics", "topics", "name"),)),
    ApiKey.DELETE_TOPICS: Shape(
        Top.NEVER,
        (_DELETED, Place("topic_names", "responses", Subject.TOPIC, ((ITSELF, "name"),))),
    ),
    ApiKey.DELETE_RECORDS: Shape(Top.NEVER, (topics(partitions(low_watermark=-1)),)),
    ApiKey.INIT_PRODUCER_ID: Shape(
        Top.ALWAYS, group="transactional_id", given={"producer_id": -1, "producer_epoch": -1}
    ),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: Shape(
        Top.NEVER, (topics(partitions(index="partition", told="partition"), names=("topic",)),)
    ),
    ApiKey.ADD_PARTITIONS_TO_TXN: Shape(
        Top.ALONE,
        (
            Place(
                "transactions",
                "results_by_transaction",
                Subject.GROUP,
                (("transactional_id", "transactional_id"),),
                error=None,
                inside=topics(_TXN_RESULTS, answered="topic_results"),
            ),
            topics(_TXN_RESULTS, "v3_and_below_topics", "results_by_topic_v3_and_below"),
        ),
        group="v3_and_below_transactional_id",
    ),
    ApiKey.ADD_OFFSETS_TO_TXN: Shape(Top.ALWAYS, group="transactional_id"),
    ApiKey.END_TXN: Shape(Top.ALWAYS, group="transactional_id"),
    ApiKey.WRITE_TXN_MARKERS: Shape(
        Top.NEVER,
        (
            Place(
                "markers",
                "markers",
                Subject.OTHER,
                (("producer_id", "producer_id"),),
                error=None,
                inside=topics(_INDEXES),
            ),
        ),
    ),
    ApiKey.TXN_OFFSET_COMMIT: Shape(Top.NEVER, (topics(partitions()),), group="group_id"),
    ApiKey.DESCRIBE_ACLS: _ONLY_TOP,
    ApiKey.CREATE_ACLS: Shape(Top.NEVER, (others("creations", "results"),)),
    ApiKey.DELETE_ACLS: Shape(Top.NEVER, (others("filters", "filter_results"),)),
    ApiKey.DESCRIBE_CONFIGS: Shape(Top.NEVER, (Place("resources", "results", Subject.RESOURCE, _RESOURCES),)),
    ApiKey.ALTER_CONFIGS: Shape(Top.NEVER, (Place("resources", "responses", Subject.RESOURCE, _RESOURCES),)),
    ApiKey.DESCRIBE_LOG_DIRS: _ONLY_TOP,
    ApiKey.SASL_AUTHENTICATE: _ONLY_TOP,
    ApiKey.CREATE_PARTITIONS: Shape(Top.NEVER, (named_topics("topics", "results", "name"),)),
    ApiKey.CREATE_DELEGATION_TOKEN: _ONLY_TOP,
    ApiKey.RENEW_DELEGATION_TOKEN: _ONLY_TOP,
    ApiKey.EXPIRE_DELEGATION_TOKEN: _ONLY_TOP,
    ApiKey.DESCRIBE_DELEGATION_TOKEN: _ONLY_TOP,
    ApiKey.DELETE_GROUPS: Shape(Top.NEVER, (groups("groups_names", "results", "group_id"),)),
    ApiKey.ELECT_LEADERS: Shape(
        Top.ALWAYS,
        (
            topics(
                partitions("partitions", "partition_result", ITSELF, "partition_id"),
                "topic_partitions",
                "replica_election_results",
                ("topic",),
            ),
        ),
    ),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: Shape(
        Top.NEVER, (Place("resources", "responses", Subject.RESOURCE, _RESOURCES),)
    ),
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: Shape(Top.ALWAYS, (topics(partitions(), answered="responses"),)),
    ApiKey.LIST_PARTITION_REASSIGNMENTS: _ONLY_TOP,
    ApiKey.OFFSET_DELETE: Shape(Top.ALWAYS, (topics(partitions()),), group="group_id"),
    ApiKey.DESCRIBE_CLIENT_QUOTAS: Shape(Top.ALWAYS, given={"entries": None}),
    ApiKey.ALTER_CLIENT_QUOTAS: Shape(Top.NEVER, (others("entries", "entries", ("entity", "entity")),)),
    ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS: Shape(Top.ALWAYS, (others("users", "results", ("name", "user")),)),
    ApiKey.ALTER_USER_SCRAM_CREDENTIALS: Shape(
        Top.NEVER,
        (others("deletions", "results", ("name", "user")), others("upsertions", "results", ("name", "user"))),
    ),
    ApiKey.UPDATE_FEATURES: Shape(Top.ALWAYS, (others("feature_updates", "results", ("feature", "feature")),)),
    ApiKey.DESCRIBE_CLUSTER: _ONLY_TOP,
    ApiKey.DESCRIBE_PRODUCERS: Shape(Top.NEVER, (topics(_INDEXES),)),
    ApiKey.UNREGISTER_BROKER: _ONLY_TOP,
    ApiKey.DESCRIBE_TRANSACTIONS: Shape(
        Top.NEVER, (groups("transactional_ids", "transaction_states", "transactional_id"),)
    ),
    ApiKey.LIST_TRANSACTIONS: _ONLY_TOP,
    ApiKey.CONSUMER_GROUP_HEARTBEAT: Shape(Top.ALWAYS, group="group_id"),
    ApiKey.CONSUMER_GROUP_DESCRIBE: Shape(Top.NEVER, (groups("group_ids", "groups", "group_id"),)),
    ApiKey.LIST_CONFIG_RESOURCES: _ONLY_TOP,
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: Shape(Top.NEVER, (named_topics("topics", "topics", "name"),)),
}

COORDINATED = frozenset(
    api
    for api, shape in SHAPES.items()
    if api is not ApiKey.FIND_COORDINATOR
    and (shape.group or any(place.subject is Subject.GROUP for place in shape.places))
)
"""APIs that only a coordinator answers, for which NOT_COORDINATOR is an answer."""
