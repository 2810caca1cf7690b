"""Every topic configuration. Names, types and defaults are those of Kafka 4.1; the sentences are ours."""

from __future__ import annotations

from mainstem.model.configs.key import (
    Allowed,
    Between,
    ConfigKey,
    ConfigType,
    ThrottledReplicas,
    at_least,
    one_of,
    table,
)

BOOLEAN, STRING, INT = ConfigType.BOOLEAN, ConfigType.STRING, ConfigType.INT
LONG, DOUBLE, LIST = ConfigType.LONG, ConfigType.DOUBLE, ConfigType.LIST

LONG_MAX = "9223372036854775807"
SEGMENT_BYTES_MIN = 1024 * 1024

CLEANUP_POLICIES = one_of("compact", "delete")
COMPRESSION_TYPES = one_of("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
GZIP_LEVELS = Between(1, 9, besides=(-1,))
LZ4_LEVELS = Between(1, 17)
ZSTD_LEVELS = Between(-131072, 22)
TIMESTAMP_TYPES = one_of("CreateTime", "LogAppendTime")
FLUSH_POLICIES = one_of("commit", "interval", "none")


def row(
    name: str,
    kind: ConfigType,
    default: str,
    doc: str,
    *,
    allowed: Allowed | None = None,
    broker: str | None = None,
    in_effect: bool = True,
) -> ConfigKey:
    """`broker` is the broker's key that gives the default."""
    return ConfigKey(
        name=name,
        type=kind,
        default=default,
        doc=doc,
        allowed=allowed,
        synonyms=(broker,) if broker else (),
        in_effect=in_effect,
    )


TOPIC_KEYS = table(
    [
        row(
            "cleanup.policy",
            LIST,
            "delete",
            "How old data goes away: `delete` drops whole segments by age and size, `compact` keeps the"
            " newest record of every key, both may be given, and an empty list keeps everything.",
            allowed=CLEANUP_POLICIES,
            broker="log.cleanup.policy",
        ),
        row(
            "compression.gzip.level",
            INT,
            "-1",
            "Effort of gzip when the broker itself compresses; -1 is the library's own choice.",
            allowed=GZIP_LEVELS,
            broker="compression.gzip.level",
        ),
        row(
            "compression.lz4.level",
            INT,
            "9",
            "Effort of lz4 when the broker itself compresses; the codec library has one only, so this has no effect.",
            allowed=LZ4_LEVELS,
            broker="compression.lz4.level",
        ),
        row(
            "compression.type",
            STRING,
            "producer",
            "The codec in which batches are stored; `producer` keeps the bytes as they were sent.",
            allowed=COMPRESSION_TYPES,
            broker="compression.type",
        ),
        row(
            "compression.zstd.level",
            INT,
            "3",
            "Effort of zstd when the broker itself compresses.",
            allowed=ZSTD_LEVELS,
            broker="compression.zstd.level",
        ),
        row(
            "delete.retention.ms",
            LONG,
            "86400000",
            "How long a compacted topic keeps tombstones and markers, so that slow readers still see them.",
            allowed=at_least(0),
            broker="log.cleaner.delete.retention.ms",
        ),
        row(
            "file.delete.delay.ms",
            LONG,
            "60000",
            "How long the files of a dropped segment stay on disk for readers that are still using them.",
            allowed=at_least(0),
            broker="log.segment.delete.delay.ms",
        ),
        row(
            "flush.messages",
            LONG,
            LONG_MAX,
            "Write to disk (fsync) after this many records at the latest, under every flush policy.",
            allowed=at_least(1),
            broker="log.flush.interval.messages",
        ),
        row(
            "flush.ms",
            LONG,
            LONG_MAX,
            "Write to disk (fsync) after this time at the latest, under every flush policy.",
            allowed=at_least(0),
            broker="log.flush.interval.ms",
        ),
        row(
            "flush.policy",
            STRING,
            "commit",
            "When data counts as written: `commit` before a producer with acks=all is answered (one fsync for"
            " everyone who waits), `interval` once a second, `none` when the system likes."
            " Not a key of Kafka.",
            allowed=FLUSH_POLICIES,
            broker="log.flush.policy",
        ),
        row(
            "follower.replication.throttled.replicas",
            LIST,
            "",
            "Replicas whose fetching is held to the follower's quota, as partition:broker pairs or `*`.",
            allowed=ThrottledReplicas(),
            in_effect=False,
        ),
        row(
            "index.interval.bytes",
            INT,
            "4096",
            "How many bytes of batches lie between two entries of a segment's offset index.",
            allowed=at_least(0),
            broker="log.index.interval.bytes",
        ),
        row(
            "leader.replication.throttled.replicas",
            LIST,
            "",
            "Replicas whose sending is held to the leader's quota, as partition:broker pairs or `*`.",
            allowed=ThrottledReplicas(),
            in_effect=False,
        ),
        row(
            "local.retention.bytes",
            LONG,
            "-2",
            "With tiered storage: bytes kept on the local disk; -2 means as many as retention.bytes.",
            allowed=at_least(-2),
            broker="log.local.retention.bytes",
            in_effect=False,
        ),
        row(
            "local.retention.ms",
            LONG,
            "-2",
            "With tiered storage: time kept on the local disk; -2 means as long as retention.ms.",
            allowed=at_least(-2),
            broker="log.local.retention.ms",
            in_effect=False,
        ),
        row(
            "max.compaction.lag.ms",
            LONG,
            LONG_MAX,
            "The longest time a record may wait until it can be compacted.",
            allowed=at_least(1),
            broker="log.cleaner.max.compaction.lag.ms",
        ),
        row(
            "max.message.bytes",
            INT,
            "1048588",
            "The largest record batch that is accepted, compressed, in bytes.",
            allowed=at_least(0),
            broker="message.max.bytes",
        ),
        row(
            "message.timestamp.after.max.ms",
            LONG,
            "3600000",
            "How far a record's own timestamp may lie ahead of the broker's clock.",
            allowed=at_least(0),
            broker="log.message.timestamp.after.max.ms",
        ),
        row(
            "message.timestamp.before.max.ms",
            LONG,
            LONG_MAX,
            "How far a record's own timestamp may lie behind the broker's clock.",
            allowed=at_least(0),
            broker="log.message.timestamp.before.max.ms",
        ),
        row(
            "message.timestamp.type",
            STRING,
            "CreateTime",
            "Whose clock records carry: `CreateTime` the producer's, `LogAppendTime` the broker's.",
            allowed=TIMESTAMP_TYPES,
            broker="log.message.timestamp.type",
        ),
        row(
            "min.cleanable.dirty.ratio",
            DOUBLE,
            "0.5",
            "The share of a compacted log that must be uncompacted before it is compacted again.",
            allowed=Between(0, 1),
            broker="log.cleaner.min.cleanable.ratio",
        ),
        row(
            "min.compaction.lag.ms",
            LONG,
            "0",
            "The shortest time a record stays as it is before it may be compacted away.",
            allowed=at_least(0),
            broker="log.cleaner.min.compaction.lag.ms",
        ),
        row(
            "min.insync.replicas",
            INT,
            "1",
            "How many in-sync replicas must hold a record before acks=all is answered; fewer refuse it.",
            allowed=at_least(1),
            broker="min.insync.replicas",
        ),
        row(
            "preallocate",
            BOOLEAN,
            "false",
            "Whether a new segment's file is created at its full size.",
            broker="log.preallocate",
        ),
        row(
            "remote.log.copy.disable",
            BOOLEAN,
            "false",
            "With tiered storage: stop copying to the remote tier, keep reading from it.",
            in_effect=False,
        ),
        row(
            "remote.log.delete.on.disable",
            BOOLEAN,
            "false",
            "With tiered storage: drop remote data when the topic leaves the tier.",
            in_effect=False,
        ),
        row(
            "remote.storage.enable",
            BOOLEAN,
            "false",
            "Whether old segments move to a remote tier; only `false` can be set so far.",
            in_effect=False,
        ),
        row(
            "retention.bytes",
            LONG,
            "-1",
            "How many bytes each partition keeps before its oldest segments are dropped; -1 sets no limit.",
            allowed=at_least(-1),
            broker="log.retention.bytes",
        ),
        row(
            "retention.ms",
            LONG,
            "604800000",
            "How long a segment is kept after its newest record; -1 sets no limit.",
            allowed=at_least(-1),
            broker="log.retention.ms",
        ),
        row(
            "segment.bytes",
            INT,
            "1073741824",
            "The size at which a segment is closed and the next one begun.",
            allowed=at_least(SEGMENT_BYTES_MIN),
            broker="log.segment.bytes",
        ),
        row(
            "segment.index.bytes",
            INT,
            "10485760",
            "The largest size of a segment's index; a full index closes the segment.",
            allowed=at_least(4),
            broker="log.index.size.max.bytes",
        ),
        row(
            "segment.jitter.ms",
            LONG,
            "0",
            "At most this time is taken off segment.ms at random, so that segments do not all close at once.",
            allowed=at_least(0),
            broker="log.roll.jitter.ms",
        ),
        row(
            "segment.ms",
            LONG,
            "604800000",
            "The age at which a segment is closed even if it is not full.",
            allowed=at_least(1),
            broker="log.roll.ms",
        ),
        row(
            "unclean.leader.election.enable",
            BOOLEAN,
            "false",
            "Whether a replica outside the ISR may lead when no other is left, which loses records.",
            broker="unclean.leader.election.enable",
        ),
    ]
)

INTERNAL_SEGMENT_BYTES = row(
    "internal.segment.bytes",
    INT,
    "",
    "Kafka's own back door for tests that need segments smaller than segment.bytes allows; never listed.",
    allowed=at_least(1),
)
