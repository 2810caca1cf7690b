"""Every metric of the broker, in one table. Names as dashboards know them: jmx_exporter's for Kafka's own MBeans, kafka_exporter's
for topics and consumer groups, and `mainstem_` where neither has one. Reference: docs/reference/metrics.md is made of this table.
"""

from __future__ import annotations

from mainstem.api.sensor import Metric

_TOPIC = ("topic",)
_PARTITION = ("topic", "partition")
_REQUEST = ("request",)


def _counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(name=name, kind="counter", help=text, labels=labels)


def _gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(name=name, kind="gauge", help=text, labels=labels)


# Traffic by topic
MESSAGES_IN = _counter("kafka_server_brokertopicmetrics_messagesin_total", "Records appended.", _TOPIC)
BYTES_IN = _counter("kafka_server_brokertopicmetrics_bytesin_total", "Bytes of record batches appended.", _TOPIC)
BYTES_OUT = _counter(
    "kafka_server_brokertopicmetrics_bytesout_total", "Bytes of record batches read by clients.", _TOPIC
)

PRODUCE_REQUESTS = _counter(
    "kafka_server_brokertopicmetrics_totalproducerequests_total", "Batches that clients sent.", _TOPIC
)
FAILED_PRODUCE = _counter(
    "kafka_server_brokertopicmetrics_failedproducerequests_total", "Batches that were refused.", _TOPIC
)
FETCH_REQUESTS = _counter(
    "kafka_server_brokertopicmetrics_totalfetchrequests_total", "Reads of a partition by clients.", _TOPIC
)
FAILED_FETCH = _counter("kafka_server_brokertopicmetrics_failedfetchrequests_total", "Reads that were refused.", _TOPIC)

# Requests
REQUESTS = _counter("kafka_network_requestmetrics_requests_total", "Requests answered.", _REQUEST)
REQUEST_ERRORS = _counter("kafka_network_requestmetrics_errors_total", "Requests that failed in the broker.", _REQUEST)
REQUEST_TIME = Metric(
    name="kafka_network_requestmetrics_totaltimems",
    kind="histogram",
    help="Milliseconds from a request's arrival to its reply, waiting included.",
    labels=_REQUEST,
)
MALFORMED = _counter(
    "mainstem_broker_malformed_requests_total", "Requests that could not be read; their connection ended."
)
FETCH_SESSIONS = _gauge("kafka_server_fetchsessioncache_numincrementalfetchsessions", "Fetch sessions in use.")
FETCH_SESSION_PARTITIONS = _gauge(
    "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached", "Partitions in all fetch sessions."
)
FETCH_SESSION_EVICTIONS = _counter(
    "kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total",
    "Fetch sessions that lost their slot to another client.",
)
REQUEST_MEMORY = _gauge("mainstem_broker_request_buffer_bytes", "Bytes held by requests that are arriving.")
REPLY_MEMORY = _gauge("mainstem_broker_unsent_reply_bytes", "Bytes of replies that clients have not taken yet.")
CONNECTIONS = _gauge("mainstem_broker_connections", "Open client connections.")
CONNECTIONS_TOTAL = _counter("mainstem_broker_connections_total", "Client connections accepted since the start.")
FLUSH_ROUNDS = _counter("mainstem_log_flush_rounds_total", "Rounds of group commit.", ("log_dir",))
LOG_DIRECTORY_OFFLINE = _gauge(
    "kafka_log_logmanager_logdirectoryoffline", "1 if the log directory failed.", ("log_dir",)
)

# Partitions and cluster
PARTITION_COUNT = _gauge("kafka_server_replicamanager_partitioncount", "Partitions this broker hosts.")
LEADER_COUNT = _gauge("kafka_server_replicamanager_leadercount", "Partitions this broker leads.")
UNDER_REPLICATED = _gauge(
    "kafka_server_replicamanager_underreplicatedpartitions", "Led partitions with a replica out of sync."
)
UNDER_MIN_ISR = _gauge(
    "kafka_server_replicamanager_underminisrpartitioncount", "Led partitions below min.insync.replicas."
)
AT_MIN_ISR = _gauge(
    "kafka_server_replicamanager_atminisrpartitioncount", "Led partitions with just min.insync.replicas in sync."
)
OFFLINE_REPLICAS = _gauge(
    "kafka_server_replicamanager_offlinereplicacount", "Hosted partitions whose log directory failed."
)
PREFERRED_IMBALANCE = _gauge(
    "kafka_controller_kafkacontroller_preferredreplicaimbalancecount",
    "Partitions that their first replica does not lead.",
)
PARTITION_UNDER_MIN_ISR = _gauge("kafka_cluster_partition_underminisr", "1 if below min.insync.replicas.", _PARTITION)
PARTITION_AT_MIN_ISR = _gauge(
    "kafka_cluster_partition_atminisr", "1 if just min.insync.replicas are in sync.", _PARTITION
)
PARTITION_IN_SYNC = _gauge("kafka_cluster_partition_insyncreplicascount", "Replicas in sync.", _PARTITION)
OFFLINE_PARTITIONS = _gauge("kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions without a leader.")
ACTIVE_CONTROLLER = _gauge(
    "kafka_controller_kafkacontroller_activecontrollercount", "1 if this broker is the controller."
)
GLOBAL_TOPICS = _gauge("kafka_controller_kafkacontroller_globaltopiccount", "Topics in the cluster.")
GLOBAL_PARTITIONS = _gauge("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions in the cluster.")
LOG_SIZE = _gauge("kafka_log_log_size", "Bytes of a partition's log.", _PARTITION)
LOG_END_OFFSET = _gauge("kafka_log_log_logendoffset", "Offset after the last record.", _PARTITION)
LOG_START_OFFSET = _gauge("kafka_log_log_logstartoffset", "First offset that can be read.", _PARTITION)

# Compaction
_DIRECTORY = ("log_dir",)
CLEANER_DIRTY = _gauge(
    "kafka_log_logcleanermanager_max_dirty_percent", "Dirty share of the compacted log that needs it most."
)
CLEANER_UNCLEANABLE = _gauge(
    "kafka_log_logcleanermanager_uncleanable_partitions_count", "Logs that are too damaged to be compacted.", _DIRECTORY
)
CLEANER_SINCE_LAST_RUN = _gauge(
    "kafka_log_logcleanermanager_time_since_last_run_ms", "Milliseconds since the cleaner last looked for work."
)
CLEANER_CLEAN_TIME = _gauge("kafka_log_logcleaner_max_clean_time_secs", "The longest compaction since the start.")
CLEANER_BUFFER = _gauge(
    "kafka_log_logcleaner_max_buffer_utilization_percent", "How full the last compaction's table of keys was."
)
CLEANER_RECOPY = _gauge(
    "kafka_log_logcleaner_cleaner_recopy_percent", "Bytes the last compaction wrote, of those it read."
)
CLEANER_DELAY = _gauge(
    "kafka_log_logcleaner_max_compaction_delay_secs", "How long the oldest dirty record is past max.compaction.lag.ms."
)
CLEANER_PASSES = _counter("mainstem_log_cleaner_passes_total", "Compactions since the start.")

# kafka_exporter's names
BROKERS = _gauge("kafka_brokers", "Live brokers.")
TOPIC_PARTITIONS = _gauge("kafka_topic_partitions", "Partitions of a topic.", _TOPIC)
CURRENT_OFFSET = _gauge("kafka_topic_partition_current_offset", "High watermark of a partition.", _PARTITION)
OLDEST_OFFSET = _gauge("kafka_topic_partition_oldest_offset", "Log start offset of a partition.", _PARTITION)
IN_SYNC_REPLICAS = _gauge("kafka_topic_partition_in_sync_replica", "In-sync replicas of a partition.", _PARTITION)
REPLICAS = _gauge("kafka_topic_partition_replicas", "Replicas of a partition.", _PARTITION)
LEADER = _gauge("kafka_topic_partition_leader", "Broker id of a partition's leader.", _PARTITION)
LEADER_IS_PREFERRED = _gauge("kafka_topic_partition_leader_is_preferred", "1 if the first replica leads.", _PARTITION)
UNDER_REPLICATED_PARTITION = _gauge(
    "kafka_topic_partition_under_replicated_partition", "1 if a replica of the partition is out of sync.", _PARTITION
)
_GROUP_PARTITION = ("consumergroup", "topic", "partition")
GROUP_OFFSET = _gauge("kafka_consumergroup_current_offset", "Offset that a group has committed.", _GROUP_PARTITION)
GROUP_LAG = _gauge(
    "kafka_consumergroup_lag", "Records between a group's committed offset and the high watermark.", _GROUP_PARTITION
)
GROUP_LAG_SUM = _gauge(
    "kafka_consumergroup_lag_sum", "Lag of a group over a topic's partitions.", ("consumergroup", "topic")
)
GROUP_MEMBERS = _gauge("kafka_consumergroup_members", "Members of a group.", ("consumergroup",))

# Coordinators: Kafka's gauges of classic groups, and its `group-coordinator-metrics`
CLASSIC_GROUPS = _gauge("kafka_coordinator_group_groupmetadatamanager_numgroups", "Groups of the classic protocol.")
CLASSIC_GROUPS_EMPTY = _gauge(
    "kafka_coordinator_group_groupmetadatamanager_numgroupsempty", "Classic groups without members."
)
CLASSIC_GROUPS_PREPARING = _gauge(
    "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance",
    "Classic groups that wait for their members to join.",
)
CLASSIC_GROUPS_COMPLETING = _gauge(
    "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance",
    "Classic groups that wait for their leader's assignment.",
)
CLASSIC_GROUPS_STABLE = _gauge(
    "kafka_coordinator_group_groupmetadatamanager_numgroupsstable",
    "Classic groups whose members have their partitions.",
)
CLASSIC_GROUPS_DEAD = _gauge(
    "kafka_coordinator_group_groupmetadatamanager_numgroupsdead", "Classic groups about to be removed."
)
GROUP_OFFSETS = _gauge("kafka_coordinator_group_groupmetadatamanager_numoffsets", "Committed offsets of all groups.")
GROUP_COUNT = _gauge("kafka_server_group_coordinator_metrics_group_count", "Groups of a protocol.", ("protocol",))
CONSUMER_GROUP_COUNT = _gauge(
    "kafka_server_group_coordinator_metrics_consumer_group_count",
    "Groups of the consumer protocol (KIP-848) in a state.",
    ("state",),
)
# These only grow. jmx_exporter shows them as gauges, under names without the `_total` of Prometheus' counters.
CLASSIC_REBALANCES = _gauge(
    "kafka_server_group_coordinator_metrics_group_completed_rebalance_count",
    "Generations of classic groups that got their assignment.",
)
CONSUMER_REBALANCES = _gauge(
    "kafka_server_group_coordinator_metrics_consumer_group_rebalance_count",
    "New epochs of consumer-protocol groups, also after a member left.",
)
OFFSET_COMMITS = _gauge("kafka_server_group_coordinator_metrics_offset_commit_count", "Offsets committed.")
OFFSET_EXPIRATIONS = _gauge(
    "kafka_server_group_coordinator_metrics_offset_expiration_count",
    "Offsets forgotten after offsets.retention.minutes.",
)
OFFSET_DELETIONS = _gauge(
    "kafka_server_group_coordinator_metrics_offset_deletion_count", "Offsets deleted by OffsetDelete."
)

# Producers and transactions
PRODUCER_IDS = _gauge(
    "kafka_server_replicamanager_produceridcount", "Producers that partitions know, once for each partition."
)
LATE_TRANSACTIONS = _gauge(
    "kafka_server_replicamanager_partitionswithlatetransactionscount",
    "Partitions with a transaction that has been open for five minutes more than transaction.max.timeout.ms.",
)
TRANSACTIONAL_IDS = _gauge(
    "mainstem_transactional_ids", "Transactional ids by the state of their latest transaction.", ("state",)
)
