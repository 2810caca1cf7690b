"""The broker's configuration keys of transactions; part of `broker_keys`."""

from __future__ import annotations

from mainstem.model.configs.key import Allowed, ConfigKey, ConfigType, at_least

INT, SHORT, BOOLEAN = ConfigType.INT, ConfigType.SHORT, ConfigType.BOOLEAN


def _fixed(name: str, kind: ConfigType, default: str, doc: str, allowed: Allowed) -> ConfigKey:
    return ConfigKey(name=name, type=kind, default=default, doc=doc, allowed=allowed, read_only=True)


TRANSACTIONS = [
    _fixed("transaction.state.log.num.partitions", INT, "50", "Partitions of __transaction_state.", at_least(1)),
    _fixed("transaction.state.log.replication.factor", SHORT, "1", "Replicas of __transaction_state.", at_least(1)),
    _fixed("transaction.state.log.min.isr", INT, "1", "The min.insync.replicas of __transaction_state.", at_least(1)),
    _fixed(
        "transaction.state.log.segment.bytes",
        INT,
        "104857600",
        "Size of the segments of __transaction_state.",
        at_least(1),
    ),
    _fixed("transaction.max.timeout.ms", INT, "900000", "The longest timeout a producer may ask for.", at_least(1)),
    _fixed(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        INT,
        "10000",
        "How often transactions are looked for that are open for longer than their timeout.",
        at_least(1),
    ),
    _fixed(
        "transactional.id.expiration.ms",
        INT,
        "604800000",
        "How long a transactional id is remembered after it was last used.",
        at_least(1),
    ),
    _fixed(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        INT,
        "3600000",
        "How often transactional ids are looked for that are due to be forgotten.",
        at_least(1),
    ),
    ConfigKey(
        name="transaction.partition.verification.enable",
        type=BOOLEAN,
        default="true",
        doc="Whether a log asks the coordinator before it takes the first batch of an older client's transaction.",
    ),
    _fixed(
        "add.partitions.to.txn.retry.backoff.ms",
        INT,
        "20",
        "How long a log waits before it asks the coordinator again, which still completes the last transaction.",
        at_least(1),
    ),
    _fixed(
        "add.partitions.to.txn.retry.backoff.max.ms",
        INT,
        "100",
        "For how long a log asks again before the producer is told to.",
        at_least(0),
    ),
]
