"""Options from scripts, files and flags become typed configurations, or an error that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainstem.api.spec import PluginConfig, Secret, Setting, configure, nearest, settings
from mainstem.model.errors import ConfigError


class FilesConfig(PluginConfig, frozen=True, kw_only=True):
    path: Path
    batch_size: int = 100
    schema: str | dict[str, Any] = ""
    columns: dict[str, str] = msgspec.field(default_factory=dict)


class LoginConfig(PluginConfig, frozen=True, kw_only=True):
    user: str
    password: Secret | None = None


class RangeConfig(PluginConfig, frozen=True, kw_only=True):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


def test_text_is_read_as_the_type_of_the_field():
    config = configure(FilesConfig, {"path": "a.csv", "batch_size": "7"}, owner="connector files")
    assert config == FilesConfig(path=Path("a.csv"), batch_size=7)


def test_a_path_fits_a_setting_that_is_text():
    config = configure(FilesConfig, {"path": "a", "schema": Path("a.avsc")}, owner="connector files")
    assert config.schema == "a.avsc"


def test_an_unknown_key_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"pth='a'.*connector files has no such setting; did you mean path\?"):
        configure(FilesConfig, {"pth": "a"}, owner="connector files")


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="path=None is not valid: connector files needs a value for it"):
        configure(FilesConfig, {}, owner="connector files")


@pytest.mark.parametrize(
    ("key", "value"),
    [("path", 3), ("batch_size", "many"), ("batch_size", 1.5), ("columns", ["a"]), ("schema", 7)],
)
def test_a_value_of_the_wrong_type_is_named_with_its_key(key, value):
    with pytest.raises(ConfigError, match=f"{key}=") as refusal:
        configure(FilesConfig, {"path": "a", key: value}, owner="connector files")
    assert refusal.value.key == key
    assert refusal.value.value == value


def test_a_check_over_several_fields_names_the_owner():
    with pytest.raises(ConfigError, match="low must not be above high"):
        configure(RangeConfig, {"low": 3, "high": 1}, owner="connector ranges")


def test_a_secret_is_revealed_only_on_demand():
    config = configure(LoginConfig, {"user": "ann", "password": "hunter2"}, owner="connector db")
    assert config.password is not None
    assert config.password.reveal() == "hunter2"
    for text in (str(config.password), repr(config), f"{config.password}", f"{config.password!s:>10}"):
        assert "hunter2" not in text


def test_secrets_compare_by_value():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


def test_no_error_shows_a_secret():
    for options in ({"user": "ann", "pasword": "hunter2"}, {"user": 3, "password": "hunter2"}):
        with pytest.raises(ConfigError) as refusal:
            configure(LoginConfig, options, owner="connector db")
        assert "hunter2" not in str(refusal.value)
    with pytest.raises(ConfigError, match="a secret is text") as refusal:
        configure(LoginConfig, {"user": "ann", "password": 12345}, owner="connector db")
    assert "12345" not in str(refusal.value)


def test_settings_are_listed_with_types_and_defaults():
    assert settings(FilesConfig) == [
        Setting(name="path", type="Path", default=None),
        Setting(name="batch_size", type="int", default="100"),
        Setting(name="schema", type="str | dict[str, Any]", default="''"),
        Setting(name="columns", type="dict[str, str]", default="{}"),
    ]
    assert settings(LoginConfig)[1] == Setting(name="password", type="Secret | None", default="None")


def test_nearest_prefers_a_similar_word_and_else_lists_all():
    assert nearest("Jsn", ["json", "avro"]) == "did you mean json?"
    assert nearest("zzz", ["json", "avro"]) == "there is avro, json"
    assert nearest("zzz", []) == "there is none"
