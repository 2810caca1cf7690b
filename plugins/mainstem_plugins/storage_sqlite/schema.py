"""What is in the file, version 1. `sqlite3 -readonly mainstem.sqlite3`, then for example:

    SELECT * FROM topic_partitions;                              offsets, batches and bytes of every partition
    SELECT * FROM batch_list WHERE topic = 'orders' LIMIT 20;    base offset, last offset, time, records, bytes
    SELECT * FROM metadata_journal;                              topics, configurations and epochs as they were decided
    SELECT * FROM settings_of_this_file;                         schema version, clean stop, whose file it is

    partitions ──< segments ──< batches        a log is a row of segments, a segment a row of record batches
        └──< sidecars                          producer snapshots, leader epochs, aborted transactions: Kafka's own encodings
    checkpoints, properties, marks             recovery points and log starts; meta.properties; whether the last stop was clean
    files                                      small files of the broker, above all the metadata journal: one row per write

`batches.data` is the record batch as it was on the wire (v2, see `model.batch`). `position` counts the bytes of the segment
before the batch; `newest_timestamp` is the largest max timestamp up to and including it, so it only grows and can be bisected.
What is deleted gets the state `deleted` first and goes in the background. Times are milliseconds since 1970, UTC.
The file says who it is: application_id 0x4D53544D, user_version = the version of this schema.
"""

from __future__ import annotations

APPLICATION_ID = 0x4D53544D
SCHEMA_VERSION = 1
PAGE_BYTES = 8192

LIVE = "live"
DELETED = "deleted"
REWRITING = "rewriting"
STRAY = "stray"
"""States of partitions and segments. `rewriting`: a compacted segment that has not yet taken its place. `stray`: a partition whose
name was given to another topic; nobody said that its records may go."""

TABLES = """
CREATE TABLE partitions (
    partition_id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    topic_id TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE UNIQUE INDEX partitions_by_name ON partitions (topic, partition) WHERE state = 'live';

CREATE TABLE segments (
    segment_id INTEGER PRIMARY KEY,
    partition_id INTEGER NOT NULL REFERENCES partitions,
    base_offset INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    batches INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL,
    first_timestamp INTEGER NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX segments_by_partition ON segments (partition_id, base_offset);

CREATE TABLE batches (
    batch_id INTEGER PRIMARY KEY,
    segment_id INTEGER NOT NULL REFERENCES segments,
    base_offset INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL,
    newest_timestamp INTEGER NOT NULL,
    records INTEGER NOT NULL,
    size INTEGER NOT NULL,
    position INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE UNIQUE INDEX batches_by_offset ON batches (segment_id, last_offset);

CREATE TABLE sidecars (
    partition_id INTEGER NOT NULL REFERENCES partitions,
    kind TEXT NOT NULL,
    at_offset INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (partition_id, kind, at_offset)
);

CREATE TABLE checkpoints (
    name TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    at_offset INTEGER NOT NULL,
    PRIMARY KEY (name, topic, partition)
);

CREATE TABLE properties (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE files (
    part_id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX files_by_path ON files (path, part_id);
"""

VIEWS = """
CREATE VIEW topic_partitions AS
    SELECT p.topic, p.partition, p.topic_id,
           min(s.base_offset) AS first_offset, max(s.end_offset) AS log_end_offset,
           count(s.segment_id) AS segments, sum(s.batches) AS batches, sum(s.bytes) AS bytes,
           datetime(nullif(max(s.max_timestamp), -1) / 1000, 'unixepoch') AS newest_record
    FROM partitions p JOIN segments s ON s.partition_id = p.partition_id AND s.state = 'live'
    WHERE p.state = 'live'
    GROUP BY p.partition_id
    ORDER BY p.topic, p.partition;

CREATE VIEW batch_list AS
    SELECT p.topic, p.partition, s.base_offset AS segment, b.base_offset, b.last_offset, b.records, b.size,
           strftime('%Y-%m-%d %H:%M:%f', b.max_timestamp / 1000.0, 'unixepoch') AS newest_record
    FROM partitions p
    JOIN segments s ON s.partition_id = p.partition_id AND s.state = 'live'
    JOIN batches b ON b.segment_id = s.segment_id
    WHERE p.state = 'live'
    ORDER BY p.topic, p.partition, b.base_offset;

CREATE VIEW metadata_journal AS
    SELECT part_id, path, CAST(content AS TEXT) AS line FROM files
    WHERE length(content) > 0 ORDER BY part_id;

CREATE VIEW settings_of_this_file AS
    SELECT 'schema version' AS name, user_version AS value FROM pragma_user_version
    UNION ALL SELECT name, value FROM marks
    UNION ALL SELECT name, value FROM properties;
"""
