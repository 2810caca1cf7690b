"""SCRAM against the exchanges printed in its RFCs, and against brokers that lie."""

from __future__ import annotations

import pytest

from mainstem.client.sasl import SaslError, credentials, exchange, mechanism_of
from mainstem.model.errors import ConfigError


def test_plain() -> None:
    steps = exchange("PLAIN", "tim", "tanstaaftanstaaf")
    assert next(steps) == b"\0tim\0tanstaaftanstaaf"
    with pytest.raises(StopIteration):
        steps.send(b"")


def test_scram_sha_256_as_in_rfc_7677() -> None:
    steps = exchange("SCRAM-SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    assert next(steps) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    answer = steps.send(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert answer == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    with pytest.raises(StopIteration):
        steps.send(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_names_with_special_characters_are_escaped() -> None:
    assert next(exchange("SCRAM-SHA-512", "a,b=c", "x", "n")) == b"n,,n=a=2Cb=3Dc,r=n"


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        (b"", "makes no sense"),
        (b"e=other-error", "other-error"),
        (b"r=somebody,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "makes no sense"),
        (b"r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=many", "makes no sense"),
        (b"r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0", "asks for 0 iterations"),
        (b"r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999", "asks for 99999999999 iterations"),
        (b"r=nonce1,s=!!!,i=4096", "salt is not base64"),
        (b"\xff\xfe", "makes no sense"),
    ],
)
def test_a_first_message_that_makes_no_sense_ends_the_exchange(first: bytes, problem: str) -> None:
    steps = exchange("SCRAM-SHA-256", "user", "pencil", "nonce")
    next(steps)
    with pytest.raises(SaslError, match=problem):
        steps.send(first)


@pytest.mark.parametrize("last", [b"", b"v=", b"v=AAAA", b"e=invalid-proof"])
def test_a_broker_that_does_not_know_the_password_is_not_believed(last: bytes) -> None:
    steps = exchange("SCRAM-SHA-256", "user", "pencil", "nonce")
    next(steps)
    steps.send(b"r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    with pytest.raises(SaslError, match=r"does not know the password|invalid-proof"):
        steps.send(last)


JAAS = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="al\\"ice" password="p;w" ;'


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"sasl.jaas.config": JAAS}, ('al"ice', "p;w")),
        ({"sasl.username": "bob", "sasl.password": "x"}, ("bob", "x")),
        ({"sasl.username": "bob", "sasl.jaas.config": JAAS}, ("bob", "p;w")),
    ],
)
def test_credentials_come_from_either_kind_of_property(properties: dict[str, str], expected: tuple[str, str]) -> None:
    assert credentials(properties) == expected


@pytest.mark.parametrize(
    "properties", [{}, {"sasl.username": "bob"}, {"sasl.jaas.config": "Module required username=unquoted;"}]
)
def test_missing_credentials_are_named(properties: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="username and password are needed"):
        credentials(properties)


def test_other_mechanisms_are_refused_by_name() -> None:
    assert mechanism_of({"sasl.mechanism": "scram-sha-512"}) == "SCRAM-SHA-512"
    with pytest.raises(ConfigError, match="GSSAPI"):
        mechanism_of({})
