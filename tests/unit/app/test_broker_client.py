"""Client properties of a cluster: where they come from, what becomes of them, and that nothing shows them."""

from pathlib import Path

import pytest

from mainstem.api.spec import PluginConfig, configure
from mainstem.app.broker_client import client_properties, transport_settings
from mainstem.model.errors import ConfigError
from mainstem_plugins.transport_kafka import KafkaConfig

JAAS = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="orders" password="hush";'


def configured(properties: dict[str, str], from_url: dict[str, str] | None = None) -> KafkaConfig:
    return configure(KafkaConfig, transport_settings(KafkaConfig, "kafka", properties, from_url or {}), owner="kafka")


def test_environment_wins_over_the_file_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("sasl.username=orders\nsasl.password=old\n")
    environment = {"MAINSTEM_BROKER_CONFIG": str(file), "MAINSTEM_KAFKA_SASL_PASSWORD": "new", "KAFKA_LOG_DIRS": "/x"}
    assert client_properties(None, environment) == {"sasl.username": "orders", "sasl.password": "new"}


def test_the_flag_wins_over_the_file_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("client.id=flag\n")
    assert client_properties(file, {"MAINSTEM_BROKER_CONFIG": "/nowhere"}) == {"client.id": "flag"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.properties"):
        client_properties(tmp_path / "none.properties", {})


def test_javas_security_becomes_settings_of_the_transport() -> None:
    config = configured(
        {
            "bootstrap.servers": "ignored:1",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config": JAAS,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": "/ca.pem",
            "fetch.max.bytes": "1000000",
        }
    )
    assert (config.security_protocol, config.sasl_mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    assert config.sasl_username == "orders"
    assert config.sasl_password is not None
    assert config.sasl_password.reveal() == "hush"
    assert config.ssl_ca_location == "/ca.pem"
    assert {name: value.reveal() for name, value in config.properties.items()} == {"fetch.max.bytes": "1000000"}


def test_the_url_wins() -> None:
    assert configured({"client.id": "file"}, {"client.id": "url"}).client_id == "url"


def test_client_credentials_of_kip_768_become_librdkafkas() -> None:
    config = configured(
        {
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.login.callback.handler.class": "org.example.Handler",
            "sasl.oauthbearer.token.endpoint.url": "https://login/token",
            "sasl.jaas.config": 'OAuthBearerLoginModule required clientId="me" clientSecret="hush" scope="kafka";',
        }
    )
    assert {name: value.reveal() for name, value in config.properties.items()} == {
        "sasl.oauthbearer.token.endpoint.url": "https://login/token",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "me",
        "sasl.oauthbearer.client.secret": "hush",
        "sasl.oauthbearer.scope": "kafka",
    }


def test_no_secret_is_shown() -> None:
    config = configured({"sasl.username": "me", "sasl.password": "hush", "ssl.key.pem": "hush"})
    assert "hush" not in repr(config)
    with pytest.raises(ConfigError) as refused:
        configured({"sasl.password": "hush", "linger.ms": "often"})
    assert "hush" not in str(refused.value)


def test_a_java_store_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"ssl\.truststore\.type='JKS'.*PEM"):
        configured({"ssl.truststore.type": "JKS", "ssl.truststore.location": "/trust.jks"})


def test_a_transport_without_a_cluster_takes_none() -> None:
    with pytest.raises(ConfigError, match="transport embedded takes no client properties"):
        transport_settings(PluginConfig, "embedded", {"client.id": "x"}, {})
