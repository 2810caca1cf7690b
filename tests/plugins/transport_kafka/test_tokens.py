"""Tokens for SASL OAUTHBEARER from a function: found by name, handed to librdkafka, never shown."""

import pytest

from mainstem.model.errors import ConfigError
from mainstem_plugins.transport_kafka.tokens import Token, Tokens, find_provider


class Remembered:
    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, event: str, **facts: object) -> None:
        self.events.append(event)

    debug = info = error = warning


def made() -> Token:
    return Token(value="abc", expires_at_s=12.5, principal="orders")


def broken() -> Token:
    raise RuntimeError("the provider is away")


def test_a_token_is_handed_on() -> None:
    assert Tokens(f"{__name__}:made", Remembered())("") == ("abc", 12.5, "orders", {})  # type: ignore[arg-type]  # a log


def test_a_failure_is_logged_and_raised_to_be_tried_again() -> None:
    log = Remembered()
    with pytest.raises(RuntimeError, match="away"):
        Tokens(f"{__name__}:broken", log)("")  # type: ignore[arg-type]  # a log
    assert log.events == ["transport.kafka.no_token"]


@pytest.mark.parametrize("path", ["", "module", ":f", "no.such.module:f", f"{__name__}:none", f"{__name__}:__name__"])
def test_a_path_that_names_no_function_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"sasl\.oauthbearer\.token\.provider"):
        find_provider(path)


def test_a_token_is_not_shown() -> None:
    assert "abc" not in repr(made())
