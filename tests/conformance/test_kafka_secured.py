"""Our commands on an Apache Kafka that wants TLS and a password: what our own broker does not have yet."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from peers.class_path import require_program
from peers.kafka_node import KafkaNode
from peers.tools import Finished, run_tool

pytestmark = pytest.mark.conformance

JAAS = "org.apache.kafka.common.security.plain.PlainLoginModule required"
USER, PASSWORD = "alice", "alice-secret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key with its own signature for this machine; `both.pem` is what Kafka reads, `certificate.pem` what clients trust."""
    folder = tmp_path_factory.mktemp("certificate")
    openssl = require_program("openssl", "openssl, which makes certificates")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files],
        check=True,
        capture_output=True,
    )
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "certificate.pem").read_text())
    return folder


@pytest.fixture(scope="module")
def secured(certificate: Path) -> Iterator[KafkaNode]:
    overrides = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": (
            f'{JAAS} username="admin" password="admin-secret" user_admin="admin-secret" user_{USER}="{PASSWORD}";'
        ),
        "listener.name.plaintext.scram-sha-256.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.plaintext.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate / "both.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificate / "certificate.pem"),
        "offsets.topic.num.partitions": "1",
    }
    with SecuredNode(overrides=overrides) as node:
        yield node


class SecuredNode(KafkaNode):
    """Answers nobody without TLS, so that its readiness is read from its log."""

    def _answers(self, deadline: float) -> bool:
        import time

        assert self._process is not None, "asked before the start"
        while time.monotonic() < deadline and self._process.poll() is None:
            if b"Kafka Server started" in self.log_path.read_bytes():
                return True
            time.sleep(0.05)
        return False


Mainstem = Callable[..., Finished]


@pytest.fixture
def mainstem(secured: KafkaNode, certificate: Path, tmp_path: Path) -> Mainstem:
    """Runs a command of ours with these client properties beside those for TLS."""

    def run(command: str, trusted: str = "certificate.pem", **properties: str) -> Finished:
        texts = {
            "security.protocol": "SASL_SSL",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificate / trusted),
            **{name.replace("_", "."): value for name, value in properties.items()},
        }
        path = tmp_path / "client.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in texts.items()))
        name, *arguments = command.split()
        line = [name, "--bootstrap-server", secured.bootstrap, "--command-config", str(path), *arguments]
        done = subprocess.run(
            [sys.executable, "-m", "mainstem.cli.main", *line], capture_output=True, text=True, timeout=90, check=False
        )
        return Finished(command, done.returncode, done.stdout, done.stderr)

    return run


def test_plain(mainstem: Mainstem) -> None:
    jaas = f'{JAAS} username="{USER}" password="{PASSWORD}";'
    who = {"sasl_mechanism": "PLAIN", "sasl_jaas_config": jaas}
    created = mainstem("topics --create --topic secured-plain", **who).succeeded()
    assert created.output == "Created topic secured-plain.\n"
    assert mainstem("get-offsets --topic secured-plain", **who).succeeded().output == "secured-plain:0:0\n"
    mainstem("verifiable-producer --topic secured-plain --max-messages 2", **who).succeeded()
    read = mainstem(
        "console-consumer --topic secured-plain --group g --from-beginning --max-messages 2", **who
    ).succeeded()
    assert read.output == "0\n1\n"
    assert mainstem("consumer-groups --list", **who).succeeded().output == "g\n"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_scram(secured: KafkaNode, certificate: Path, tmp_path: Path, mainstem: Mainstem, mechanism: str) -> None:
    admin = tmp_path / "admin.properties"
    admin.write_text(
        f"security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nssl.truststore.type=PEM\n"
        f"ssl.truststore.location={certificate / 'certificate.pem'}\n"
        f'sasl.jaas.config={JAAS} username="admin" password="admin-secret";\n'
    )
    user = f"bob-{mechanism.lower()}"
    alter = [
        "--alter",
        "--entity-type",
        "users",
        "--entity-name",
        user,
        "--add-config",
        f"{mechanism}=[password=p,w=d]",
    ]
    run_tool(
        "kafka-configs", ["--bootstrap-server", secured.bootstrap, "--command-config", str(admin), *alter]
    ).succeeded()

    who = {"sasl_mechanism": mechanism, "sasl_username": user, "sasl_password": "p,w=d"}
    shown = mainstem("cluster cluster-id", **who).succeeded()
    assert re.fullmatch(r"Cluster ID: \S{22}\n", shown.output)

    refused = mainstem("cluster cluster-id", **who | {"sasl_password": "wrong"})
    assert refused.exit_code == 1
    assert "Authentication failed during authentication due to invalid credentials" in refused.errors


def test_what_cannot_be_trusted_or_spoken_is_said(mainstem: Mainstem, secured: KafkaNode) -> None:
    jaas = f'{JAAS} username="{USER}" password="{PASSWORD}";'
    unknown = mainstem("topics --list", sasl_mechanism="GSSAPI", sasl_jaas_config=jaas)
    assert (unknown.exit_code, "this command speaks PLAIN" in unknown.errors) == (1, True)
    keys = mainstem("topics --list", trusted="key.pem", sasl_mechanism="PLAIN", sasl_jaas_config=jaas)
    assert (keys.exit_code, "the certificates cannot be read" in keys.errors) == (1, True)
    stores = mainstem("topics --list", ssl_truststore_type="JKS", sasl_mechanism="PLAIN", sasl_jaas_config=jaas)
    assert (stores.exit_code, "reads PEM files only" in stores.errors) == (1, True)
    plain = mainstem("topics --list", security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_jaas_config=jaas)
    assert plain.exit_code == 1
    assert f"no broker answers at {secured.bootstrap}" in plain.errors
