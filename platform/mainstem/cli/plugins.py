"""`mainstem plugins [--json]`: what is installed, by kind and name, with version, origin and settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import orjson

from mainstem.api.spec import PluginConfig, Setting, settings
from mainstem.app.plugins import PluginManager, Registered
from mainstem.cli.arguments import Parser

EXAMPLES = ("mainstem plugins", "mainstem plugins --json")
# A connector has a configuration for each of its sides; everything else has one.
SIDES = (("", "config"), ("source", "source_config"), ("sink", "sink_config"))


def main(arguments: Sequence[str]) -> int:
    parser = Parser("plugins", "List the installed plugins and their settings.", EXAMPLES)
    parser.flag("--json", "one JSON document instead of a table")
    options = parser.read(arguments)
    manager = PluginManager()
    manager.load_all()
    print(_as_json(manager) if options.json else _as_table(manager))
    for broken in manager.broken().values():
        print(f"skipped {broken.plugin} of {broken.distribution}: {broken.reason}", file=sys.stderr)
    return 0


def _configs(entry: Registered) -> Iterator[tuple[str, type[PluginConfig]]]:
    for side, attribute in SIDES:
        config = getattr(entry.spec, attribute, None)
        if isinstance(config, type) and issubclass(config, PluginConfig):
            yield side, config


def _as_json(manager: PluginManager) -> str:
    plugins = [
        {
            "kind": entry.kind.name,
            "name": entry.spec.name,
            "version": entry.version,
            "distribution": entry.distribution,
            "entry_point": entry.plugin,
            "settings": [
                {"side": side or None, "name": one.name, "type": one.type, "default": one.default}
                for side, config in _configs(entry)
                for one in settings(config)
            ],
        }
        for entry in manager.registered()
    ]
    broken = [
        {"entry_point": one.plugin, "distribution": one.distribution, "reason": one.reason}
        for one in manager.broken().values()
    ]
    return orjson.dumps({"plugins": plugins, "broken": broken}, option=orjson.OPT_INDENT_2).decode()


def _as_table(manager: PluginManager) -> str:
    head = ("KIND", "NAME", "VERSION", "FROM", "SETTINGS")
    rows = [head]
    for entry in manager.registered():
        lines = list(_setting_lines(entry)) or ["-"]
        rows.append((entry.kind.name, entry.spec.name, entry.version, entry.distribution, lines[0]))
        rows += [("", "", "", "", line) for line in lines[1:]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _setting_lines(entry: Registered) -> Iterator[str]:
    for side, config in _configs(entry):
        for one in settings(config):
            yield f"{side + ': ' if side else ''}{_shown(one)}"


def _shown(setting: Setting) -> str:
    return f"{setting.name} (required)" if setting.default is None else f"{setting.name}={setting.default}"
