"""`mainstem plugins`: what people and programs see of the installed plugins."""

from __future__ import annotations

import json
import types

import pytest

from mainstem.api.connector import ConnectorSpec
from mainstem.api.hookspecs import hookimpl
from mainstem.api.spec import PluginConfig, Secret
from mainstem.app.plugins import BrokenPlugin, PluginManager
from mainstem.cli import plugins
from mainstem.cli.main import main


def test_the_table_names_kind_name_version_origin_and_settings(capsys: pytest.CaptureFixture[str]):
    assert main(["plugins"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["KIND", "NAME", "VERSION", "FROM", "SETTINGS"]
    assert ["serializer", "avro", "0.1.0", "mainstem", "schema", "(required)"] in lines
    assert ["storage", "memory", "0.1.0", "mainstem", "-"] in lines
    assert ["source:", "encoding='utf-8'"] in lines


def test_json_holds_the_same_for_programs(capsys: pytest.CaptureFixture[str]):
    assert main(["plugins", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    [string] = [one for one in listed["plugins"] if (one["kind"], one["name"]) == ("serializer", "string")]
    assert string["distribution"] == "mainstem"
    assert string["entry_point"] == "serde-string"
    assert string["settings"] == [{"side": None, "name": "encoding", "type": "str", "default": "'utf-8'"}]
    assert listed["broken"] == []


def test_an_unknown_flag_suggests_the_near_one(capsys: pytest.CaptureFixture[str]):
    assert main(["plugins", "--jsno"]) == 1
    assert "did you mean --json?" in capsys.readouterr().err


class DbConfig(PluginConfig, frozen=True, kw_only=True):
    password: Secret = Secret("hunter2")


def test_secrets_are_not_shown_and_broken_plugins_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    module = types.ModuleType("db")
    module.mainstem_register_connectors = hookimpl(lambda: [ConnectorSpec(name="db", source_config=DbConfig)])
    module.mainstem_register_connectors.__name__ = "mainstem_register_connectors"

    def manager() -> PluginManager:
        made = PluginManager([])
        made.register(module, name="connector-db")
        made._broken["other"] = BrokenPlugin(plugin="other", distribution="theirs", reason="ImportError: no")
        return made

    monkeypatch.setattr(plugins, "PluginManager", manager)
    assert main(["plugins"]) == 0
    shown = capsys.readouterr()
    assert "hunter2" not in shown.out
    assert "password=Secret('***')" in shown.out
    assert "skipped other of theirs: ImportError: no" in shown.err
