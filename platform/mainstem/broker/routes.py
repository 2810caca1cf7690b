"""THE list of served APIs. ApiVersions is derived from it; each range is Apache Kafka 4.1's, what is missing is in SKIPPED.md."""

from __future__ import annotations

from mainstem.broker.route import Route
from mainstem.wire.apis import ApiKey

ROUTES: dict[int, Route] = {
    route.api: route
    for route in (
        Route(ApiKey.PRODUCE, 0, 13),
        Route(ApiKey.FETCH, 4, 18),
        Route(ApiKey.LIST_OFFSETS, 1, 10),
        Route(ApiKey.METADATA, 0, 13),
        Route(ApiKey.OFFSET_COMMIT, 2, 9),
        Route(ApiKey.OFFSET_FETCH, 1, 9),
        Route(ApiKey.FIND_COORDINATOR, 0, 6),
        Route(ApiKey.JOIN_GROUP, 0, 9),
        Route(ApiKey.HEARTBEAT, 0, 4),
        Route(ApiKey.LEAVE_GROUP, 0, 5),
        Route(ApiKey.SYNC_GROUP, 0, 5),
        Route(ApiKey.DESCRIBE_GROUPS, 0, 6),
        Route(ApiKey.LIST_GROUPS, 0, 5),
        Route(ApiKey.SASL_HANDSHAKE, 0, 1),
        Route(ApiKey.API_VERSIONS, 0, 4),
        Route(ApiKey.CREATE_TOPICS, 2, 7),
        Route(ApiKey.DELETE_TOPICS, 1, 6),
        Route(ApiKey.DELETE_RECORDS, 0, 2),
        Route(ApiKey.INIT_PRODUCER_ID, 0, 5),
        Route(ApiKey.OFFSET_FOR_LEADER_EPOCH, 2, 4),
        Route(ApiKey.DESCRIBE_ACLS, 1, 3),
        Route(ApiKey.CREATE_ACLS, 1, 3),
        Route(ApiKey.DELETE_ACLS, 1, 3),
        Route(ApiKey.DESCRIBE_CONFIGS, 1, 4),
        Route(ApiKey.ALTER_CONFIGS, 0, 2),
        Route(ApiKey.DESCRIBE_LOG_DIRS, 1, 4),
        Route(ApiKey.SASL_AUTHENTICATE, 0, 2),
        Route(ApiKey.CREATE_PARTITIONS, 0, 3),
        Route(ApiKey.CREATE_DELEGATION_TOKEN, 1, 3),
        Route(ApiKey.RENEW_DELEGATION_TOKEN, 1, 2),
        Route(ApiKey.EXPIRE_DELEGATION_TOKEN, 1, 2),
        Route(ApiKey.DESCRIBE_DELEGATION_TOKEN, 1, 3),
        Route(ApiKey.DELETE_GROUPS, 0, 2),
        Route(ApiKey.ELECT_LEADERS, 0, 2),
        Route(ApiKey.INCREMENTAL_ALTER_CONFIGS, 0, 1),
        Route(ApiKey.ALTER_PARTITION_REASSIGNMENTS, 0, 1),
        Route(ApiKey.LIST_PARTITION_REASSIGNMENTS, 0, 0),
        Route(ApiKey.DESCRIBE_CLIENT_QUOTAS, 0, 1),
        Route(ApiKey.ALTER_CLIENT_QUOTAS, 0, 1),
        Route(ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, 0, 0),
        Route(ApiKey.ALTER_USER_SCRAM_CREDENTIALS, 0, 0),
        Route(ApiKey.UPDATE_FEATURES, 0, 2),
        Route(ApiKey.DESCRIBE_CLUSTER, 0, 2),
        Route(ApiKey.UNREGISTER_BROKER, 0, 0),
        Route(ApiKey.LIST_CONFIG_RESOURCES, 0, 1),
        Route(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, 0),
    )
}
