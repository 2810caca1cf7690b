"""Broker keys of Kafka 4.1 that are known but have no effect here, so that no server.properties is refused.

One line a key: name, type, whether it can change at run time, default (`-` for none).
"""

from __future__ import annotations

from functools import cache

from mainstem.model.configs.broker_keys import HONOURED_KEYS
from mainstem.model.configs.key import ConfigKey, ConfigType, table

NO_EFFECT = "Accepted for compatibility; it has no effect here."

_ROWS = """
alter.config.policy.class.name class fixed -
alter.log.dirs.replication.quota.window.num int fixed 11
alter.log.dirs.replication.quota.window.size.seconds int fixed 1
authorizer.class.name string fixed ""
auto.leader.rebalance.enable boolean fixed true
background.threads int dynamic 10
broker.heartbeat.interval.ms int fixed 2000
broker.session.timeout.ms int fixed 9000
client.quota.callback.class class fixed -
connection.failed.authentication.delay.ms int fixed 100
connections.max.reauth.ms long fixed 0
controlled.shutdown.enable boolean fixed true
controller.quorum.append.linger.ms int fixed 25
controller.quorum.bootstrap.servers list fixed ""
controller.quorum.election.backoff.max.ms int fixed 1000
controller.quorum.election.timeout.ms int fixed 1000
controller.quorum.fetch.timeout.ms int fixed 2000
controller.quorum.request.timeout.ms int fixed 2000
controller.quorum.retry.backoff.ms int fixed 20
controller.quorum.voters list fixed -
controller.quota.window.num int fixed 11
controller.quota.window.size.seconds int fixed 1
controller.socket.timeout.ms int fixed 30000
create.topic.policy.class.name class fixed -
delegation.token.expiry.check.interval.ms long fixed 3600000
delegation.token.expiry.time.ms long fixed 86400000
delegation.token.max.lifetime.ms long fixed 604800000
delegation.token.secret.key password fixed -
delete.records.purgatory.purge.interval.requests int fixed 1
early.start.listeners string fixed -
fetch.purgatory.purge.interval.requests int fixed 1000
group.coordinator.append.linger.ms int fixed 5
group.coordinator.rebalance.protocols list fixed classic,consumer,streams
group.coordinator.threads int fixed 4
group.share.assignors list fixed simple
group.share.delivery.count.limit int fixed 5
group.share.heartbeat.interval.ms int fixed 5000
group.share.max.heartbeat.interval.ms int fixed 15000
group.share.max.record.lock.duration.ms int fixed 60000
group.share.max.session.timeout.ms int fixed 60000
group.share.max.share.sessions int fixed 2000
group.share.max.size int fixed 200
group.share.min.heartbeat.interval.ms int fixed 5000
group.share.min.record.lock.duration.ms int fixed 15000
group.share.min.session.timeout.ms int fixed 45000
group.share.partition.max.record.locks int fixed 2000
group.share.record.lock.duration.ms int fixed 30000
group.share.session.timeout.ms int fixed 45000
group.streams.heartbeat.interval.ms int fixed 5000
group.streams.max.heartbeat.interval.ms int fixed 15000
group.streams.max.session.timeout.ms int fixed 60000
group.streams.max.size int fixed 2147483647
group.streams.max.standby.replicas int fixed 2
group.streams.min.heartbeat.interval.ms int fixed 5000
group.streams.min.session.timeout.ms int fixed 45000
group.streams.num.standby.replicas int fixed 0
group.streams.session.timeout.ms int fixed 45000
initial.broker.registration.timeout.ms int fixed 60000
kafka.metrics.polling.interval.secs int fixed 10
kafka.metrics.reporters list fixed ""
leader.imbalance.check.interval.seconds long fixed 300
log.cleaner.threads int dynamic 1
log.dir.failure.timeout.ms long fixed 30000
max.connection.creation.rate int dynamic 2147483647
metadata.log.dir string fixed -
metadata.log.max.record.bytes.between.snapshots long fixed 20971520
metadata.log.max.snapshot.interval.ms long fixed 3600000
metadata.log.segment.bytes int fixed 1073741824
metadata.log.segment.ms long fixed 604800000
metadata.max.idle.interval.ms int fixed 500
metadata.max.retention.bytes long fixed 104857600
metadata.max.retention.ms long fixed 604800000
metric.reporters list dynamic org.apache.kafka.common.metrics.JmxReporter
metrics.num.samples int fixed 2
metrics.recording.level string fixed INFO
metrics.sample.window.ms long fixed 30000
num.io.threads int dynamic 8
num.network.threads int dynamic 3
num.recovery.threads.per.data.dir int dynamic 2
num.replica.alter.log.dirs.threads int fixed -
num.replica.fetchers int dynamic 1
offsets.load.buffer.size int fixed 5242880
principal.builder.class class dynamic org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder
process.roles list fixed broker,controller
producer.purgatory.purge.interval.requests int fixed 1000
queued.max.requests int fixed 500
quota.window.num int fixed 11
quota.window.size.seconds int fixed 1
remote.fetch.max.wait.ms int dynamic 500
remote.list.offsets.request.timeout.ms long dynamic 30000
remote.log.index.file.cache.total.size.bytes long dynamic 1073741824
remote.log.manager.copier.thread.pool.size int dynamic 10
remote.log.manager.copy.max.bytes.per.second long dynamic 9223372036854775807
remote.log.manager.copy.quota.window.num int fixed 11
remote.log.manager.copy.quota.window.size.seconds int fixed 1
remote.log.manager.expiration.thread.pool.size int dynamic 10
remote.log.manager.fetch.max.bytes.per.second long dynamic 9223372036854775807
remote.log.manager.fetch.quota.window.num int fixed 11
remote.log.manager.fetch.quota.window.size.seconds int fixed 1
remote.log.manager.task.interval.ms long fixed 30000
remote.log.manager.thread.pool.size int fixed 2
remote.log.metadata.custom.metadata.max.bytes int fixed 128
remote.log.metadata.manager.class.name string fixed org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager
remote.log.metadata.manager.class.path string fixed -
remote.log.metadata.manager.impl.prefix string fixed rlmm.config.
remote.log.metadata.manager.listener.name string fixed -
remote.log.reader.max.pending.tasks int fixed 100
remote.log.reader.threads int dynamic 10
remote.log.storage.manager.class.name string fixed -
remote.log.storage.manager.class.path string fixed -
remote.log.storage.manager.impl.prefix string fixed rsm.config.
remote.log.storage.system.enable boolean fixed false
replica.fetch.backoff.ms int fixed 1000
replica.fetch.max.bytes int fixed 1048576
replica.fetch.min.bytes int fixed 1
replica.fetch.response.max.bytes int fixed 10485760
replica.fetch.wait.max.ms int fixed 500
replica.high.watermark.checkpoint.interval.ms long fixed 5000
replica.lag.time.max.ms long fixed 30000
replica.selector.class string fixed -
replica.socket.receive.buffer.bytes int fixed 65536
replica.socket.timeout.ms int fixed 30000
replication.quota.window.num int fixed 11
replication.quota.window.size.seconds int fixed 1
sasl.client.callback.handler.class class fixed -
sasl.enabled.mechanisms list dynamic GSSAPI
sasl.jaas.config password dynamic -
sasl.kerberos.kinit.cmd string dynamic /usr/bin/kinit
sasl.kerberos.min.time.before.relogin long dynamic 60000
sasl.kerberos.principal.to.local.rules list dynamic DEFAULT
sasl.kerberos.service.name string dynamic -
sasl.kerberos.ticket.renew.jitter double dynamic 0.05
sasl.kerberos.ticket.renew.window.factor double dynamic 0.8
sasl.login.callback.handler.class class fixed -
sasl.login.class class fixed -
sasl.login.connect.timeout.ms int fixed -
sasl.login.read.timeout.ms int fixed -
sasl.login.refresh.buffer.seconds short dynamic 300
sasl.login.refresh.min.period.seconds short dynamic 60
sasl.login.refresh.window.factor double dynamic 0.8
sasl.login.refresh.window.jitter double dynamic 0.05
sasl.login.retry.backoff.max.ms long fixed 10000
sasl.login.retry.backoff.ms long fixed 100
sasl.mechanism.controller.protocol string fixed GSSAPI
sasl.mechanism.inter.broker.protocol string dynamic GSSAPI
sasl.oauthbearer.assertion.algorithm string fixed RS256
sasl.oauthbearer.assertion.claim.aud string fixed -
sasl.oauthbearer.assertion.claim.exp.seconds int fixed 300
sasl.oauthbearer.assertion.claim.iss string fixed -
sasl.oauthbearer.assertion.claim.jti.include boolean fixed false
sasl.oauthbearer.assertion.claim.nbf.seconds int fixed 60
sasl.oauthbearer.assertion.claim.sub string fixed -
sasl.oauthbearer.assertion.file string fixed -
sasl.oauthbearer.assertion.private.key.file string fixed -
sasl.oauthbearer.assertion.private.key.passphrase password fixed -
sasl.oauthbearer.assertion.template.file string fixed -
sasl.oauthbearer.client.credentials.client.id string fixed -
sasl.oauthbearer.client.credentials.client.secret password fixed -
sasl.oauthbearer.clock.skew.seconds int fixed 30
sasl.oauthbearer.expected.audience list fixed -
sasl.oauthbearer.expected.issuer string fixed -
sasl.oauthbearer.jwks.endpoint.refresh.ms long fixed 3600000
sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms long fixed 10000
sasl.oauthbearer.jwks.endpoint.retry.backoff.ms long fixed 100
sasl.oauthbearer.jwks.endpoint.url string fixed -
sasl.oauthbearer.jwt.retriever.class class fixed org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever
sasl.oauthbearer.jwt.validator.class class fixed org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator
sasl.oauthbearer.scope string fixed -
sasl.oauthbearer.scope.claim.name string fixed scope
sasl.oauthbearer.sub.claim.name string fixed sub
sasl.oauthbearer.token.endpoint.url string fixed -
sasl.server.callback.handler.class class fixed -
sasl.server.max.receive.size int fixed 524288
security.inter.broker.protocol string fixed PLAINTEXT
security.providers string fixed -
share.coordinator.append.linger.ms int fixed 5
share.coordinator.load.buffer.size int fixed 5242880
share.coordinator.snapshot.update.records.per.snapshot int fixed 500
share.coordinator.state.topic.compression.codec int fixed 0
share.coordinator.state.topic.min.isr short fixed 1
share.coordinator.state.topic.num.partitions int fixed 50
share.coordinator.state.topic.replication.factor short fixed 1
share.coordinator.state.topic.segment.bytes int fixed 104857600
share.coordinator.threads int fixed 1
share.coordinator.write.timeout.ms int fixed 5000
share.fetch.purgatory.purge.interval.requests int fixed 1000
socket.connection.setup.timeout.max.ms long fixed 30000
socket.connection.setup.timeout.ms long fixed 10000
socket.listen.backlog.size int fixed 50
socket.receive.buffer.bytes int fixed 102400
socket.send.buffer.bytes int fixed 102400
ssl.allow.dn.changes boolean fixed false
ssl.allow.san.changes boolean fixed false
ssl.cipher.suites list dynamic ""
ssl.client.auth string dynamic none
ssl.enabled.protocols list dynamic TLSv1.2,TLSv1.3
ssl.endpoint.identification.algorithm string dynamic https
ssl.engine.factory.class class dynamic -
ssl.key.password password dynamic -
ssl.keymanager.algorithm string dynamic SunX509
ssl.keystore.certificate.chain password dynamic -
ssl.keystore.key password dynamic -
ssl.keystore.location string dynamic -
ssl.keystore.password password dynamic -
ssl.keystore.type string dynamic JKS
ssl.principal.mapping.rules string fixed DEFAULT
ssl.protocol string dynamic TLSv1.3
ssl.provider string dynamic -
ssl.secure.random.implementation string dynamic -
ssl.trustmanager.algorithm string dynamic PKIX
ssl.truststore.certificates password dynamic -
ssl.truststore.location string dynamic -
ssl.truststore.password password dynamic -
ssl.truststore.type string dynamic JKS
telemetry.max.bytes int fixed 1048576
transaction.state.log.load.buffer.size int fixed 5242880
transaction.two.phase.commit.enable boolean fixed false
"""  # noqa: E501 (class names of Kafka)

OLD_KEYS = frozenset(
    """
    advertised.host.name advertised.port broker.id.generation.enable control.plane.listener.name
    delegation.token.master.key host.name inter.broker.protocol.version log.cleaner.min.cleanable.dirty.ratio
    log.message.downconversion.enable log.message.format.version log.message.timestamp.difference.max.ms
    offsets.commit.required.acks password.encoder.cipher.algorithm password.encoder.iterations
    password.encoder.key.length password.encoder.keyfactory.algorithm password.encoder.old.secret
    password.encoder.secret port quota.consumer.default quota.producer.default reserved.broker.max.id
    zookeeper.clientCnxnSocket zookeeper.connect zookeeper.connection.timeout.ms
    zookeeper.max.in.flight.requests zookeeper.metadata.migration.enable zookeeper.session.timeout.ms
    zookeeper.set.acl
    zookeeper.ssl.cipher.suites zookeeper.ssl.client.enable zookeeper.ssl.crl.enable
    zookeeper.ssl.enabled.protocols zookeeper.ssl.endpoint.identification.algorithm
    zookeeper.ssl.keystore.location zookeeper.ssl.keystore.password zookeeper.ssl.keystore.type
    zookeeper.ssl.ocsp.enable zookeeper.ssl.protocol zookeeper.ssl.truststore.location
    zookeeper.ssl.truststore.password zookeeper.ssl.truststore.type zookeeper.sync.time.ms
    """.split()  # noqa: SIM905 (43 quoted names would be unreadable)
)
"""Keys of Kafka before 4.0, most of them ZooKeeper's. They are accepted and not listed."""

OPEN_PREFIXES = (
    "listener.name.",
    "rlmm.config.",
    "rsm.config.",
    "config.providers",
    "log.storage.",
    "coordinator.",
)
"""Families whose keys cannot be listed: per-listener settings, settings of Kafka's plugins and of ours."""


@cache
def all_broker_keys() -> dict[str, ConfigKey]:
    """Honoured and merely known keys by name, in alphabetical order. Built when first asked for."""
    rows = [*HONOURED_KEYS.values(), *(_read_row(line) for line in _ROWS.split("\n") if line)]
    return dict(table(sorted(rows, key=lambda row: row.name)))


def _read_row(line: str) -> ConfigKey:
    name, kind, mutability, default = line.split(" ")
    return ConfigKey(
        name=name,
        type=ConfigType[kind.upper()],
        default=None if default == "-" else default.replace('""', ""),
        doc=NO_EFFECT,
        read_only=mutability == "fixed",
        in_effect=False,
    )


def is_known(name: str) -> bool:
    return name in HONOURED_KEYS or name in all_broker_keys() or name in OLD_KEYS or name.startswith(OPEN_PREFIXES)
