"""kafka-python's administrator: what it can ask of a cluster of one node."""

import uuid

import pytest
from kafka import TopicPartition
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    KafkaAdminClient,
    ResourcePatternFilter,
)
from kafka.admin import ResourceType as AclResourceType
from kafka.errors import InvalidUpdateVersionError, SecurityDisabledError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def python_admin(bootstrap):
    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    yield client
    client.close()


def only_broker(python_admin) -> int:
    (broker,) = python_admin.describe_cluster()["brokers"]
    return broker["broker_id"] if "broker_id" in broker else broker["node_id"]


def test_settings_are_set_shown_and_reset(python_admin, new_topic):
    name = new_topic()
    python_admin.alter_configs([ConfigResource("TOPIC", name, {"retention.ms": "7000", "segment.ms": "9000"})])
    assert shown(python_admin, "TOPIC", name) == {"retention.ms": "7000", "segment.ms": "9000"}
    python_admin.reset_configs([ConfigResource("TOPIC", name, ["retention.ms"])])
    assert shown(python_admin, "TOPIC", name) == {"segment.ms": "9000"}


def test_settings_are_replaced_as_old_clients_do(python_admin, new_topic):
    """The client sends what was set before along with what it changes: the call replaces everything."""
    name = new_topic(1, {"retention.ms": "5000"})
    python_admin.alter_configs([ConfigResource("TOPIC", name, {"segment.ms": "9000"})], incremental=False)
    assert shown(python_admin, "TOPIC", name) == {"retention.ms": "5000", "segment.ms": "9000"}
    python_admin.reset_configs([ConfigResource("TOPIC", name, ["retention.ms"])], incremental=False)
    assert shown(python_admin, "TOPIC", name) == {"segment.ms": "9000"}


def test_settings_of_a_group_are_set_shown_and_listed(python_admin):
    group = f"settings-{uuid.uuid4().hex}"
    python_admin.alter_configs([ConfigResource("GROUP", group, {"consumer.session.timeout.ms": "50000"})])
    assert shown(python_admin, "GROUP", group) == {"consumer.session.timeout.ms": "50000"}
    listed = python_admin.list_config_resources(["GROUP"])
    assert group in str(listed)
    python_admin.reset_configs([ConfigResource("GROUP", group, ["consumer.session.timeout.ms"])])
    assert shown(python_admin, "GROUP", group) == {}


def shown(python_admin, kind: str, name: str) -> dict[str, str]:
    """What was changed of a resource."""
    described = python_admin.describe_configs([ConfigResource(kind, name, None)])
    return {key: entry["value"] for key, entry in flat(described, name).items() if key != "min.insync.replicas"}


def flat(described, name: str) -> dict[str, dict]:
    """kafka-python nests by type and name."""
    if isinstance(described, dict):
        if name in described:
            return described[name]
        for value in described.values():
            found = flat(value, name)
            if found:
                return found
    if isinstance(described, list):
        for value in described:
            found = flat(value, name)
            if found:
                return found
    return {}


def test_log_directories_show_every_partition(python_admin, new_topic):
    name = new_topic(2)
    directories = python_admin.describe_log_dirs({name: [0, 1]})
    assert str(directories).count(name) == 1
    assert "'partition_size': 0" in str(directories)


def test_pages_of_partitions_go_on_where_the_last_ended(python_admin, new_topic):
    name = new_topic(3)
    first = python_admin.describe_topic_partitions([name], response_partition_limit=2)
    assert [row["partition_index"] for row in first["topics"][0]["partitions"]] == [0, 1]
    second = python_admin.describe_topic_partitions([name], response_partition_limit=2, cursor=first["next_cursor"])
    assert [row["partition_index"] for row in second["topics"][0]["partitions"]] == [2]
    assert second["next_cursor"] is None


def test_no_election_and_no_reassignment_is_needed(python_admin, new_topic):
    name = new_topic()
    where = TopicPartition(name, 0)
    elected = python_admin.elect_leaders(0, {name: [0]}, raise_errors=False)
    assert "84" in str(elected) or "ElectionNotNeeded" in str(elected)
    broker = only_broker(python_admin)

    def answered(replicas) -> str:
        return repr(python_admin.alter_partition_reassignments({where: replicas}))

    assert "Error'" not in answered([broker])
    assert "NoReassignmentInProgressError" in answered(None)
    assert "InvalidReplicationAssignmentError" in answered([broker + 40])
    assert python_admin.list_partition_reassignments() == {}


def test_features_are_described_and_impossible_levels_refused(python_admin):
    described = python_admin.describe_features()
    assert set(described.get("finalized_features", ())) <= {
        "eligible.leader.replicas.version",
        "group.version",
        "metadata.version",
        "transaction.version",
    }
    with pytest.raises(InvalidUpdateVersionError):
        python_admin.update_features({"no.such.feature": 1})


def test_there_are_no_rules_and_no_credentials(python_admin):
    everything = ACLFilter(
        principal=None,
        host="*",
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ANY,
        resource_pattern=ResourcePatternFilter(AclResourceType.ANY, None, ACLResourcePatternType.ANY),
    )
    with pytest.raises(SecurityDisabledError):
        python_admin.describe_acls(everything)
    assert python_admin.describe_user_scram_credentials() == {}
