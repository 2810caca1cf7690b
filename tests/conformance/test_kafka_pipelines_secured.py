"""A pipeline on an Apache Kafka that wants to know who comes: SCRAM and tokens over TLS, and certificates of both sides."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from peers.class_path import require_program
from peers.kafka_node import KafkaNode

from mainstem import Pipeline
from mainstem.app.run import run_async
from mainstem.app.run_options import RunOptions
from mainstem.model.errors import MainstemError
from mainstem_plugins.transport_kafka.tokens import Token

pytestmark = pytest.mark.conformance

MODULES = "org.apache.kafka.common.security"
ADMIN, PASSWORD = "admin", "admin-secret"
SCRAM = f'{MODULES}.scram.ScramLoginModule required username="orders" password="orders-secret";'
VALUES = [b"1", b"2", b"3"]
TIMEOUT_S = 30


def unsecured_token() -> Token:
    """What Kafka's own validator for tests takes: a token that nobody has signed."""
    now = time.time()
    parts = [{"alg": "none"}, {"sub": "orders", "iat": now, "exp": now + 600}]
    head, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return Token(value=f"{head}.{claims}.", expires_at_s=now + 600, principal="orders")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`both.pem` is a key and its certificate, which signs itself; `certificate.pem` is what the other side trusts."""
    folder = tmp_path_factory.mktemp("certificate")
    openssl = require_program("openssl", "openssl, which makes certificates")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "certificate.pem").read_text())
    return folder


class TlsNode(KafkaNode):
    """Answers nobody without TLS, so that its readiness is read from its log."""

    def _answers(self, deadline: float) -> bool:
        while time.monotonic() < deadline and self.is_running:
            if b"Kafka Server started" in self.log_path.read_bytes():
                return True
            time.sleep(0.05)
        return False


def stores(certificate: Path) -> dict[str, str]:
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate / "both.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificate / "certificate.pem"),
    }


@pytest.fixture(scope="module")
def sasl_node(certificate: Path) -> Iterator[KafkaNode]:
    listener = "listener.name.plaintext"
    overrides = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        f"{listener}.plain.sasl.jaas.config": (
            f'{MODULES}.plain.PlainLoginModule required username="{ADMIN}" password="{PASSWORD}" user_{ADMIN}="{PASSWORD}";'
        ),
        f"{listener}.scram-sha-512.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
        f"{listener}.oauthbearer.sasl.jaas.config": (
            f'{MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="{ADMIN}";'
        ),
        "offsets.topic.num.partitions": "1",
        **stores(certificate),
    }
    with TlsNode(overrides=overrides) as node:
        yield node


@pytest.fixture(scope="module")
def mutual_node(certificate: Path) -> Iterator[KafkaNode]:
    overrides = {
        "listener.security.protocol.map": "PLAINTEXT:SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "ssl.client.auth": "required",
        "offsets.topic.num.partitions": "1",
        **stores(certificate),
    }
    with TlsNode(overrides=overrides) as node:
        yield node


def admin_settings(node: KafkaNode, certificate: Path) -> dict[str, str]:
    return {
        "bootstrap.servers": node.bootstrap,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": ADMIN,
        "sasl.password": PASSWORD,
        "ssl.ca.location": str(certificate / "certificate.pem"),
    }


async def copied(settings: dict[str, str], config: Path, name: str) -> list[bytes]:
    """What a pipeline on the cluster wrote of VALUES, read by another client."""
    source, sink = f"{name}-in", f"{name}-out"
    admin = AdminClient(settings)
    for topic in (source, sink):
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
    producer = Producer(settings)
    for value in VALUES:
        producer.produce(source, value)
    assert producer.flush(TIMEOUT_S) == 0
    pipeline = Pipeline(name).source(source).map(lambda value: value * 2).sink(sink)
    address = f"kafka://{settings['bootstrap.servers']}"
    await run_async([pipeline], RunOptions(broker=address, broker_config=config, once=True))
    consumer = Consumer({**settings, "group.id": f"{name}-reader", "auto.offset.reset": "earliest"})
    consumer.subscribe([sink])
    try:
        return [message.value() for message in consumer.consume(len(VALUES), TIMEOUT_S)]
    finally:
        consumer.close()


@pytest.fixture
def config_file(tmp_path: Path, certificate: Path) -> Callable[..., Path]:
    def write(**properties: str) -> Path:
        texts = {
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificate / "certificate.pem"),
            **{name.replace("_", "."): value for name, value in properties.items()},
        }
        path = tmp_path / "client.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in texts.items()))
        return path

    return write


async def test_scram_over_tls(sasl_node: KafkaNode, certificate: Path, config_file: Callable[..., Path]) -> None:
    from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

    settings = admin_settings(sasl_node, certificate)
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    wanted = UserScramCredentialUpsertion("orders", kind, b"orders-secret")
    admin = AdminClient(settings)
    admin.alter_user_scram_credentials([wanted])["orders"].result(TIMEOUT_S)
    config = config_file(security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-512", sasl_jaas_config=SCRAM)
    assert await copied(settings, config, "scram") == [value * 2 for value in VALUES]


async def test_a_token_of_a_function_over_tls(
    sasl_node: KafkaNode, certificate: Path, config_file: Callable[..., Path]
) -> None:
    provider = {"sasl.oauthbearer.token.provider": f"{__name__}:unsecured_token"}
    config = config_file(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", **provider)
    assert await copied(admin_settings(sasl_node, certificate), config, "token") == [value * 2 for value in VALUES]


async def test_certificates_of_both_sides(
    mutual_node: KafkaNode, certificate: Path, config_file: Callable[..., Path]
) -> None:
    own = {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(certificate / "both.pem")}
    settings = {
        "bootstrap.servers": mutual_node.bootstrap,
        "security.protocol": "SSL",
        "ssl.ca.location": str(certificate / "certificate.pem"),
        "ssl.certificate.location": str(certificate / "both.pem"),
        "ssl.key.location": str(certificate / "both.pem"),
    }
    assert await copied(settings, config_file(security_protocol="SSL", **own), "mutual") == [v * 2 for v in VALUES]


async def test_a_wrong_password_is_told_without_being_shown(
    sasl_node: KafkaNode, config_file: Callable[..., Path]
) -> None:
    config = config_file(
        security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="admin", sasl_password="not-this-one"
    )
    pipeline = Pipeline("refused").source("refused-in").sink("refused-out")
    with pytest.raises(MainstemError, match="no Kafka broker answers") as refused:
        await run_async(
            [pipeline], RunOptions(broker=f"kafka://{sasl_node.bootstrap}", broker_config=config, once=True)
        )
    assert "not-this-one" not in str(refused.value)
