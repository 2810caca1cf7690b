"""The broker's configuration keys that have an effect. Names, types and defaults are those of Kafka 4.1.

Defaults differ from Kafka's code where one node cannot work with them (replication factors of 3), where the
first consumer would wait three seconds (`group.initial.rebalance.delay.ms`), for `listeners` and `log.dir`.
"""

from __future__ import annotations

from mainstem.model.configs.broker_transaction_keys import TRANSACTIONS
from mainstem.model.configs.consumer_group_keys import CONSUMER_GROUP_KEYS
from mainstem.model.configs.key import (
    Allowed,
    Between,
    ConfigKey,
    ConfigType,
    NotEmpty,
    at_least,
    table,
)
from mainstem.model.configs.topic_keys import LONG_MAX, TOPIC_KEYS

BOOLEAN, STRING, INT, SHORT = ConfigType.BOOLEAN, ConfigType.STRING, ConfigType.INT, ConfigType.SHORT
LONG, LIST, DOUBLE = ConfigType.LONG, ConfigType.LIST, ConfigType.DOUBLE

INT_MAX = "2147483647"
DEFAULT_LISTENERS = "PLAINTEXT://127.0.0.1:9092"
DEFAULT_PROTOCOL_MAP = "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"
DEFAULT_LOG_DIR = "./mainstem-data"

RETENTION = ("log.retention.ms", "log.retention.minutes", "log.retention.hours")
ROLL = ("log.roll.ms", "log.roll.hours")
ROLL_JITTER = ("log.roll.jitter.ms", "log.roll.jitter.hours")
FLUSH = ("log.flush.interval.ms", "log.flush.scheduler.interval.ms")
FAMILIES = {name: family for family in (RETENTION, ROLL, ROLL_JITTER) for name in family} | {FLUSH[0]: FLUSH}
"""Keys that stand for one value; the first one given wins. Source: Kafka's `brokerConfigSynonyms`."""


def fixed(name: str, kind: ConfigType, default: str | None, doc: str, allowed: Allowed | None = None) -> ConfigKey:
    """A key that is read at start only."""
    synonyms = tuple(other for other in FAMILIES.get(name, ()) if other != name)
    return ConfigKey(name=name, type=kind, default=default, doc=doc, allowed=allowed, synonyms=synonyms, read_only=True)


def dynamic(name: str, kind: ConfigType, default: str | None, doc: str, allowed: Allowed | None = None) -> ConfigKey:
    """A key that IncrementalAlterConfigs can change while the broker runs."""
    synonyms = tuple(other for other in FAMILIES.get(name, ()) if other != name)
    return ConfigKey(name=name, type=kind, default=default, doc=doc, allowed=allowed, synonyms=synonyms)


_NODE = [
    fixed("node.id", INT, "1", "The number of this broker, unique in its cluster.", at_least(0)),
    fixed("broker.id", INT, "1", "The old name of node.id.", at_least(-1)),
    fixed(
        "broker.rack",
        STRING,
        None,
        "Where this broker stands; replicas of a partition are spread over racks.",
    ),
    fixed("listeners", STRING, DEFAULT_LISTENERS, "The addresses to listen on, as NAME://host:port."),
    fixed(
        "advertised.listeners",
        STRING,
        None,
        "The addresses clients are told to connect to; without it, the address each client used itself.",
    ),
    fixed(
        "listener.security.protocol.map",
        STRING,
        DEFAULT_PROTOCOL_MAP,
        "Which security protocol each listener name stands for.",
    ),
    fixed(
        "inter.broker.listener.name",
        STRING,
        None,
        "The listener that other brokers use; without it, the first.",
    ),
    fixed(
        "controller.listener.names",
        STRING,
        None,
        "Listener names of a KRaft controller; they are not opened, since the controller here needs no port.",
    ),
    fixed(
        "coordinator",
        STRING,
        "embedded",
        "The plugin that holds cluster metadata. Not a key of Kafka.",
        NotEmpty(),
    ),
    fixed(
        "faults.enable",
        BOOLEAN,
        "false",
        "Whether `/faults` is served beside `/metrics`, for tests that ask for faults. Not a key of Kafka.",
    ),
    fixed(
        "faults.seed",
        LONG,
        "0",
        "Where the numbers come from that faults are drawn with. Not a key of Kafka.",
    ),
    fixed(
        "metrics.host",
        STRING,
        "127.0.0.1",
        "The address `/metrics` is served on. Not a key of Kafka.",
        NotEmpty(),
    ),
    fixed(
        "metrics.port",
        INT,
        None,
        "The port `/metrics` is served on, 0 for any; without it there is none. Not a key of Kafka.",
        Between(0, 65535),
    ),
]

_TOPICS = [
    fixed(
        "num.partitions",
        INT,
        "1",
        "How many partitions a topic gets where its creator does not say.",
        at_least(1),
    ),
    fixed(
        "default.replication.factor",
        INT,
        "1",
        "How many replicas a partition gets where its topic's creator does not say.",
        Between(1, 32767),
    ),
    fixed("auto.create.topics.enable", BOOLEAN, "true", "Whether using an unknown topic creates it."),
    fixed("delete.topic.enable", BOOLEAN, "true", "Whether topics can be deleted."),
]

_LOG = [
    fixed("log.dir", STRING, DEFAULT_LOG_DIR, "The directory for data, if log.dirs is not given.", NotEmpty()),
    fixed("log.dirs", STRING, None, "The directories for data, separated by commas.", NotEmpty()),
    fixed(
        "log.storage",
        STRING,
        "segments",
        "What stores partitions, a plugin. Not a key of Kafka.",
        NotEmpty(),
    ),
    fixed("log.retention.minutes", INT, None, "As log.retention.ms, in minutes.", at_least(-1)),
    fixed("log.retention.hours", INT, "168", "As log.retention.ms, in hours.", at_least(-1)),
    fixed("log.roll.hours", INT, "168", "As log.roll.ms, in hours.", at_least(1)),
    fixed("log.roll.jitter.hours", INT, "0", "As log.roll.jitter.ms, in hours.", at_least(0)),
    fixed(
        "log.retention.check.interval.ms",
        LONG,
        "300000",
        "How often old segments are looked for.",
        at_least(1),
    ),
    fixed(
        "log.flush.scheduler.interval.ms",
        LONG,
        LONG_MAX,
        "How often logs are looked at for flushing; also log.flush.interval.ms where that is not given.",
        at_least(0),
    ),
    fixed(
        "log.flush.offset.checkpoint.interval.ms",
        INT,
        "60000",
        "How often the offsets up to which logs are flushed are written to a file.",
        at_least(0),
    ),
    fixed(
        "log.flush.start.offset.checkpoint.interval.ms",
        INT,
        "60000",
        "How often the offsets at which logs begin are written to a file.",
        at_least(0),
    ),
    dynamic(
        "producer.id.expiration.ms",
        INT,
        "86400000",
        "How long a partition remembers an idempotent producer that sends nothing.",
        at_least(1),
    ),
]

_UNSET_BY_DEFAULT = ("log.retention.ms", "log.roll.ms", "log.roll.jitter.ms", "log.flush.interval.ms")
"""Where these are not given, the next key of their family decides."""

_TOPIC_DEFAULTS = [
    dynamic(
        name,
        key.type,
        None if name in _UNSET_BY_DEFAULT else key.default,
        f"Default of the topics' {key.name}.",
        key.allowed,
    )
    for key in TOPIC_KEYS.values()
    for name in key.synonyms
]

_GROUPS = [
    fixed(
        "offset.metadata.max.bytes",
        INT,
        "4096",
        "The longest metadata text a committed offset may carry.",
        at_least(0),
    ),
    fixed("offsets.topic.num.partitions", INT, "50", "Partitions of __consumer_offsets.", at_least(1)),
    fixed("offsets.topic.replication.factor", SHORT, "1", "Replicas of __consumer_offsets.", at_least(1)),
    fixed(
        "offsets.topic.segment.bytes",
        INT,
        "104857600",
        "Size of the segments of __consumer_offsets.",
        at_least(1),
    ),
    fixed(
        "offsets.topic.compression.codec",
        INT,
        "0",
        "Codec number of batches in __consumer_offsets.",
        Between(0, 4),
    ),
    fixed(
        "offsets.retention.minutes",
        INT,
        "10080",
        "How long committed offsets are kept after the group that committed them became empty.",
        at_least(1),
    ),
    fixed(
        "offsets.retention.check.interval.ms",
        LONG,
        "600000",
        "How often old offsets are looked for.",
        at_least(1),
    ),
    fixed(
        "offsets.commit.timeout.ms",
        INT,
        "5000",
        "How long an offset commit may wait to be stored.",
        at_least(1),
    ),
    fixed(
        "group.min.session.timeout.ms",
        INT,
        "6000",
        "The shortest session timeout a member may ask for.",
        at_least(1),
    ),
    fixed(
        "group.max.session.timeout.ms",
        INT,
        "1800000",
        "The longest session timeout a member may ask for.",
        at_least(1),
    ),
    fixed(
        "group.initial.rebalance.delay.ms",
        INT,
        "0",
        "How long an empty group waits for more members before its first rebalance.",
        at_least(0),
    ),
    fixed("group.max.size", INT, INT_MAX, "How many members a group may have.", at_least(1)),
]

_CLEANER = [
    fixed("log.cleaner.enable", BOOLEAN, "true", "Whether topics with cleanup.policy=compact are compacted."),
    dynamic(
        "log.cleaner.backoff.ms",
        LONG,
        "15000",
        "How long the cleaner sleeps when no log is dirty enough.",
        at_least(0),
    ),
    dynamic(
        "log.cleaner.dedupe.buffer.size",
        LONG,
        "134217728",
        "Memory for the keys of the log that is being compacted; a key takes up to 144 bytes of it (24 in Kafka).",
        at_least(1024),
    ),
    dynamic(
        "log.cleaner.io.buffer.load.factor",
        DOUBLE,
        "0.9",
        "The share of log.cleaner.dedupe.buffer.size that is used; one pass ends where it is full.",
        Between(0, 1),
    ),
    dynamic("log.cleaner.io.buffer.size", INT, "524288", "How much the cleaner reads at a time.", at_least(0)),
    dynamic(
        "log.cleaner.io.max.bytes.per.second",
        DOUBLE,
        "1.7976931348623157E308",
        "How fast the cleaner may read and write, together.",
        at_least(0.001),
    ),
]

_NETWORK = [
    fixed("socket.request.max.bytes", INT, "104857600", "The largest request, in bytes.", at_least(1)),
    fixed(
        "queued.max.request.bytes",
        LONG,
        "-1",
        "How many bytes of requests may wait in memory before sockets are read no further; -1 stands for 512 MiB.",
        at_least(-1),
    ),
    fixed(
        "connections.max.idle.ms",
        LONG,
        "600000",
        "How long a connection may stay silent; -1 for ever.",
        at_least(-1),
    ),
    dynamic("max.connections", INT, INT_MAX, "How many connections may be open at a time.", at_least(0)),
    dynamic(
        "max.connections.per.ip",
        INT,
        INT_MAX,
        "How many connections may be open at a time from one address; 0 only with max.connections.per.ip.overrides.",
        at_least(0),
    ),
    dynamic(
        "max.connections.per.ip.overrides",
        STRING,
        "",
        "Other numbers for single addresses, such as 127.0.0.1:200,10.0.0.7:5.",
    ),
    fixed("fetch.max.bytes", INT, "57671680", "The most bytes one Fetch response carries.", at_least(1024)),
    fixed(
        "max.incremental.fetch.session.cache.slots",
        INT,
        "1000",
        "How many fetch sessions are kept; clients beyond that send full requests.",
        at_least(0),
    ),
    fixed(
        "max.request.partition.size.limit",
        INT,
        "2000",
        "The most partitions one DescribeTopicPartitions response carries.",
        at_least(1),
    ),
    fixed("request.timeout.ms", INT, "30000", "How long brokers wait for each other's answers.", at_least(1)),
]

HONOURED_KEYS = table(
    [*_NODE, *_TOPICS, *_LOG, *_CLEANER, *_TOPIC_DEFAULTS, *_GROUPS, *CONSUMER_GROUP_KEYS, *TRANSACTIONS, *_NETWORK]
)
